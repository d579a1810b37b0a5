/** What several parts of this room ask for. */
import { useQuery } from "@tanstack/react-query";
import { take, useApi } from "../../api/client";

/** Alerts begin and end in the worker, of which the live connection tells nothing. */
export const EVERY_MS = 5_000;

export function useChannels() {
  const { api, project } = useApi();
  return useQuery({ queryKey: [project, "channels"], queryFn: () => take(api.GET("/api/v1/channels")) });
}

export function useRules() {
  const { api, project } = useApi();
  return useQuery({ queryKey: [project, "alert-rules"], queryFn: () => take(api.GET("/api/v1/alert-rules")) });
}
