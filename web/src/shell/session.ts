/** Who is logged in. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, createApi, take } from "../api/client";
import type { Session } from "../api/types";

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      return await take(createApi(undefined, undefined).GET("/api/v1/session"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
});

export function useLogIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { email: string; password: string }) =>
      take(createApi(undefined, undefined).POST("/api/v1/session", { body })),
    onSuccess: (session) => queries.setQueryData(sessionQuery.queryKey, session),
  });
}

export function useLogOut(csrf: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => take(createApi(undefined, csrf).DELETE("/api/v1/session")),
    onSettled: () => {
      queries.clear();
      window.location.assign("/login");
    },
  });
}
