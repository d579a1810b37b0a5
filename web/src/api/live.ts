/** One live connection a tab: the server says that something was stored, and what is on screen asks again. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

export type LiveState = "off" | "connecting" | "live" | "polling";

const POLL_MS = 5_000;
const THROTTLE_MS = 1_500;

/** Keeps the queries whose key holds "live" fresh while `enabled`; falls back to polling without the stream. */
export function useLive(project: string, enabled: boolean): LiveState {
  const queries = useQueryClient();
  const [state, setState] = useState<LiveState>("connecting");
  useEffect(() => {
    if (!enabled) {
      setState("off");
      return;
    }
    setState("connecting");
    let poll: number | undefined;
    let pending: number | undefined;
    const refresh = () => {
      if (document.visibilityState === "visible")
        void queries.invalidateQueries({ predicate: (query) => query.queryKey.includes("live") });
    };
    const soon = () => {
      pending ??= window.setTimeout(() => {
        pending = undefined;
        refresh();
      }, THROTTLE_MS);
    };
    const source = new EventSource(`/api/v1/live?project=${encodeURIComponent(project)}`);
    const startPolling = () => {
      setState("polling");
      poll ??= window.setInterval(refresh, POLL_MS);
    };
    source.onopen = () => {
      window.clearInterval(poll);
      poll = undefined;
      setState("live");
    };
    source.onmessage = soon;
    for (const name of ["change", "tick", "accounting", "stored"]) source.addEventListener(name, soon);
    source.onerror = startPolling;
    return () => {
      source.close();
      window.clearInterval(poll);
      window.clearTimeout(pending);
    };
  }, [project, enabled, queries]);
  return state;
}
