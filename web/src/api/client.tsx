/** The one way to the server: the generated client, bound to the project of the URL and the login's CSRF token. */
import createClient, { type Client } from "openapi-fetch";
import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { paths } from "./schema";

export type Api = Client<paths>;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
  ) {
    super(message);
  }
}

interface Problem {
  detail?: unknown;
  title?: string;
  code?: string;
  error?: { message?: string; code?: string };
}

function problemMessage(body: unknown, response: Response): ApiError {
  const problem = (typeof body === "object" && body !== null ? body : {}) as Problem;
  const detail = typeof problem.detail === "string" ? problem.detail : undefined;
  const message = detail ?? problem.error?.message ?? problem.title ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, message, problem.code ?? problem.error?.code ?? "");
}

/** The data of an answer; throws ApiError for anything but a success. */
export async function take<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let result: { data?: T; error?: unknown; response: Response };
  try {
    result = await call;
  } catch {
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (result.error !== undefined || !result.response.ok) throw problemMessage(result.error, result.response);
  return result.data as T;
}

export function createApi(project: string | undefined, csrf: string | undefined): Api {
  const client = createClient<paths>({ baseUrl: "", querySerializer: { array: { style: "form", explode: false } } });
  client.use({
    onRequest({ request }) {
      for (const [name, value] of Object.entries(headersFor(project, csrf, request.method)))
        request.headers.set(name, value);
      return request;
    },
  });
  return client;
}

/** Headers of a request made outside the generated client (streams). */
export function headersFor(
  project: string | undefined,
  csrf: string | undefined,
  method: string,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (project) headers["X-Octavo-Project"] = project;
  if (csrf && method !== "GET" && method !== "HEAD") headers["X-Octavo-CSRF"] = csrf;
  return headers;
}

interface Bound {
  api: Api;
  project: string;
  csrf: string;
}

const ApiContext = createContext<Bound | null>(null);

export function ApiProvider({ project, csrf, children }: { project: string; csrf: string; children: ReactNode }) {
  const bound = useMemo(() => ({ api: createApi(project, csrf), project, csrf }), [project, csrf]);
  return <ApiContext value={bound}>{children}</ApiContext>;
}

/** The API bound to the chosen project. */
export function useApi(): Bound {
  const bound = useContext(ApiContext);
  if (!bound) throw new Error("useApi outside of the shell");
  return bound;
}

/** What was on screen stays until the new answer is there, but never another project's. */
export function useKept() {
  const { project } = useApi();
  return <T,>(before: T | undefined, query: { queryKey: readonly unknown[] } | undefined): T | undefined =>
    query?.queryKey[0] === project ? before : undefined;
}
