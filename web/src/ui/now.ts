import { useSyncExternalStore } from "react";

/** A clock that all relative times share: one timer, a tick every ten seconds. */
function createClock(periodMs: number) {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: number | undefined;
  return {
    subscribe(listener: () => void) {
      listeners.add(listener);
      now = Date.now();
      timer ??= window.setInterval(() => {
        now = Date.now();
        for (const each of listeners) each();
      }, periodMs);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          window.clearInterval(timer);
          timer = undefined;
        }
      };
    },
    get: () => now,
  };
}

const shared = createClock(10_000);

export function useNow(): number {
  return useSyncExternalStore(shared.subscribe, shared.get);
}
