/** One live connection a tab: the server says that something was stored, and what is on screen asks again. */
import { type Query, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

export type LiveState = "off" | "connecting" | "live" | "polling";

const POLL_MS = 5_000;
const THROTTLE_MS = 1_500;
const REST = 4; // asking again waits as many times as long as asking took

/** Whether to ask again: a list that was scrolled through would be asked for page by page, and jump under the reader. */
function follows(query: Query): boolean {
  const data = query.state.data as { pages?: unknown[] } | undefined;
  return query.queryKey.includes("live") && (data?.pages?.length ?? 0) <= 1;
}

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
    let rest = THROTTLE_MS;
    const refresh = async () => {
      if (document.visibilityState !== "visible") return;
      const began = performance.now();
      await queries.invalidateQueries({ predicate: follows });
      rest = Math.max(THROTTLE_MS, REST * (performance.now() - began));
    };
    let again = false;
    const soon = () => {
      again = pending !== undefined;
      pending ??= window.setTimeout(async () => {
        again = false;
        await refresh();
        pending = undefined;
        if (again) soon();
      }, rest);
    };
    const source = new EventSource(`/api/v1/live?project=${encodeURIComponent(project)}`);
    const startPolling = () => {
      setState("polling");
      poll ??= window.setInterval(() => void refresh(), POLL_MS);
    };
    source.onopen = () => {
      window.clearInterval(poll);
      poll = undefined;
      setState("live");
    };
    source.onmessage = soon;
    source.onerror = startPolling;
    return () => {
      source.close();
      again = false;
      window.clearInterval(poll);
      window.clearTimeout(pending);
    };
  }, [project, enabled, queries]);
  return state;
}
