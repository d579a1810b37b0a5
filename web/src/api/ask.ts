/** Routes that the generated types do not hold yet, asked by path; the answer's type is the agreed one. */
import { headersFor, take, useApi } from "./client";

type Query = Record<string, string | number | boolean | undefined | null>;

export interface Asked {
  query?: Query;
  body?: unknown;
}

export type Ask = <T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, asked?: Asked) => Promise<T>;

export function search(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  const text = params.toString();
  return text && `?${text}`;
}

/** Asks the API of the chosen project, with the same errors as the generated client. */
export function useAsk(): Ask {
  const { project, csrf } = useApi();
  return <T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, { query = {}, body }: Asked = {}) =>
    take<T>(
      (async () => {
        const response = await fetch(`/api/v1${path}${search(query)}`, {
          method,
          headers: {
            ...headersFor(project, csrf, method),
            ...(body !== undefined && { "Content-Type": "application/json" }),
          },
          body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await response.text();
        const json = /json/.test(response.headers.get("Content-Type") ?? "") && text ? JSON.parse(text) : undefined;
        return response.ok ? { data: json as T, response } : { error: json ?? {}, response };
      })(),
    );
}
