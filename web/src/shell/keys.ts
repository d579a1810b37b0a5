/** Keyboard: single keys and two-key sequences, ignored while somebody types. */
import { useEffect, useRef } from "react";

const SEQUENCE_MS = 900;

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** `keys` maps "j", "?" or "g t" to what they do. Modified keys are left to the browser, except "mod+k". */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>, enabled = true): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    if (!enabled) return;
    let first = "";
    let at = 0;
    const listen = (event: KeyboardEvent) => {
      const mod = event.metaKey || event.ctrlKey;
      if (mod && !event.altKey) {
        const handler = current.current[`mod+${event.key.toLowerCase()}`];
        if (handler) {
          event.preventDefault();
          handler(event);
        }
        return;
      }
      if (event.altKey || typing(event.target)) return;
      if (document.querySelector("[role=dialog]") && event.key !== "Escape") return;
      const sequence = Date.now() - at < SEQUENCE_MS ? current.current[`${first} ${event.key}`] : undefined;
      const handler = sequence ?? current.current[event.key];
      first = event.key;
      at = Date.now();
      if (handler) {
        if (event.key !== "Enter" || !(event.target instanceof HTMLButtonElement)) event.preventDefault();
        handler(event);
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [enabled]);
}
