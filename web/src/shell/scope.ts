/** What the whole console looks at: project, environment and time range, kept in the URL so that a link shows the same. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";

export const RANGES = { "15m": 15, "1h": 60, "24h": 1440, "7d": 10_080, "30d": 43_200 } as const;
export type RangeName = keyof typeof RANGES;
export const RANGE_TITLES: Record<RangeName, string> = {
  "15m": "Last 15 minutes",
  "1h": "Last hour",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
};
const DEFAULT_RANGE: RangeName = "24h";

export interface ScopeSearch {
  project?: string;
  env?: string;
  range?: RangeName;
  from?: string;
  to?: string;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
}

function instant(value: unknown): string | undefined {
  return typeof value === "string" && !Number.isNaN(Date.parse(value)) ? value : undefined;
}

export function validateScope(search: Record<string, unknown>): ScopeSearch {
  const range = text(search.range);
  return {
    project: text(search.project),
    env: text(search.env),
    range: range !== undefined && range in RANGES ? (range as RangeName) : undefined,
    from: instant(search.from),
    to: instant(search.to),
  };
}

export interface Bounds {
  from: string;
  to: string;
}

export interface Scope {
  env: string; // "" for all
  range: RangeName | "custom";
  /** The interval as of now; relative ranges move on. */
  bounds: () => Bounds;
  /** What to ask the server for: the interval as of now, the environment, and what is given beside. */
  asked: (filter?: string, words?: string) => Bounds & { filter?: string; search?: string; environment?: string };
  /** Identifies env and range in query keys. */
  key: string;
  set: (patch: ScopeSearch) => void;
}

/** A clock's minute is fine enough for a range, and lets equal queries share one answer. */
function boundsOf(range: RangeName): Bounds {
  const to = Date.now();
  return { from: new Date(to - RANGES[range] * 60_000).toISOString(), to: new Date(to).toISOString() };
}

export function useScope(): Scope {
  const { env = "", range, from, to } = useSearch({ strict: false }) as ScopeSearch;
  const navigate = useNavigate();
  return useMemo(() => {
    const custom = from !== undefined && to !== undefined;
    const name = range ?? DEFAULT_RANGE;
    const bounds = () => (custom ? { from, to } : boundsOf(name));
    return {
      env,
      range: custom ? "custom" : name,
      bounds,
      asked: (filter, words) => ({
        ...bounds(),
        ...(filter && { filter }),
        ...(words && { search: words }),
        ...(env && { environment: env }),
      }),
      key: `${env}|${custom ? `${from}–${to}` : name}`,
      set: (patch) =>
        void navigate({
          to: ".",
          search: ((before: ScopeSearch) => ({ ...before, ...patch })) as never,
        }),
    };
  }, [env, range, from, to, navigate]);
}
