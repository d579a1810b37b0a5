/** Which measures and dimensions there are, and the series they make: the largest groups, and all others as one. */
import type { Api } from "../../api/client";
import { take } from "../../api/client";
import { filled } from "../../ui/chart/fill";
import { compact, duration, integer, percent, usd } from "../../ui/format";

export interface Measure {
  id: string;
  title: string;
  format: (value: number) => string;
  /** Whether groups add up to the whole, so that they may be stacked. */
  adds: boolean;
}

export const MEASURES: Measure[] = [
  { id: "calls", title: "Model calls", format: compact, adds: true },
  { id: "traces", title: "Traces", format: compact, adds: false },
  { id: "count", title: "Spans", format: compact, adds: true },
  { id: "errors", title: "Errors", format: integer, adds: true },
  { id: "error_rate", title: "Error rate", format: percent, adds: false },
  { id: "latency_p50", title: "Latency p50", format: duration, adds: false },
  { id: "latency_p95", title: "Latency p95", format: duration, adds: false },
  { id: "latency_p99", title: "Latency p99", format: duration, adds: false },
  { id: "latency_avg", title: "Latency mean", format: duration, adds: false },
  { id: "ttft_p50", title: "First token p50", format: duration, adds: false },
  { id: "ttft_p95", title: "First token p95", format: duration, adds: false },
  { id: "ttft_p99", title: "First token p99", format: duration, adds: false },
  { id: "cost_usd", title: "Cost", format: usd, adds: true },
  { id: "total_tokens", title: "Tokens", format: compact, adds: true },
  { id: "input_tokens", title: "Input tokens", format: compact, adds: true },
  { id: "output_tokens", title: "Output tokens", format: compact, adds: true },
  { id: "cached_tokens", title: "Cached tokens", format: compact, adds: true },
];

export const DIMENSIONS: { value: string; label: string }[] = [
  { value: "", label: "nothing" },
  { value: "model", label: "model" },
  { value: "provider", label: "provider" },
  { value: "environment", label: "environment" },
  { value: "app", label: "application" },
  { value: "service", label: "service" },
  { value: "version", label: "version" },
  { value: "release", label: "release" },
  { value: "status", label: "status" },
  { value: "error_class", label: "error class" },
  { value: "kind", label: "kind of span" },
  { value: "name", label: "name of span" },
  { value: "user_id", label: "user" },
  { value: "session_id", label: "session" },
  { value: "api_key_id", label: "API key" },
  { value: "connection_id", label: "connection" },
  { value: "prompt_name", label: "prompt" },
  { value: "prompt_version", label: "prompt version" },
  { value: "finish_reason", label: "finish reason" },
  { value: "source", label: "source" },
];

/** What is measured: the calls of models, whole traces (their first span), or every span. */
export const SUBJECTS: { value: string; label: string; filter: string }[] = [
  { value: "calls", label: "model calls", filter: 'kind in ("llm", "embedding")' },
  { value: "traces", label: "traces", filter: 'parent_span_id = ""' },
  { value: "spans", label: "all spans", filter: "" },
];

export const TOP = 7;
export const OTHER = "all others";

export type Row = Record<string, unknown>;

export interface Group {
  name: string;
  value: number | null;
  calls: number;
  filter: string; // what finds its spans
  points: [number, number | null][];
}

export interface Explored {
  groups: Group[];
  intervalMs: number;
  from: number;
  to: number;
}

export function joined(...parts: string[]): string {
  const some = parts.filter(Boolean);
  return some.length > 1 ? some.map((one) => (/\bor\b/i.test(one) ? `(${one})` : one)).join(" and ") : (some[0] ?? "");
}

function quoted(value: string): string {
  return `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

interface Question {
  measure: Measure;
  by: string;
  filter: string; // with the subject's
  interval: string;
  bounds: { from: string; to: string };
  environment: string;
}

function number(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

export async function explore(api: Api, asked: Question): Promise<Explored> {
  const { measure, by, filter, interval, bounds, environment } = asked;
  const from = Date.parse(bounds.from);
  const to = Date.parse(bounds.to);
  const ask = (dimensions: string, step: string, where: string) =>
    take(
      api.GET("/api/v1/metrics", {
        params: {
          query: {
            measures: measure.id === "count" ? "count" : `${measure.id},count`,
            interval: step as "auto",
            ...bounds,
            ...(dimensions && { dimensions }),
            ...(where && { filter: where }),
            ...(environment && { environment }),
          },
        },
      }),
    );
  const totals = await ask(by, "none", filter);
  const ranked = (totals.rows as Row[])
    .map((row) => ({
      name: by ? String(row[by] ?? "") : "",
      value: number(row[measure.id]),
      calls: Number(row.count ?? 0),
    }))
    .sort((one, other) => (measure.adds ? (other.value ?? 0) - (one.value ?? 0) : other.calls - one.calls))
    .filter((one) => one.calls > 0 && (!by || one.name !== "" || (one.value ?? 0) > 0));
  const shown = by ? ranked.slice(0, TOP) : ranked.slice(0, 1);
  const rest = by ? ranked.slice(TOP) : [];
  const names = shown.map((one) => quoted(one.name)).join(", ");
  const inTop = by && rest.length > 0 ? `${by} in (${names})` : "";
  const beyond = by && rest.length > 0 ? `not (${by} in (${names}))` : "";
  const [series, others, othersTotal] = await Promise.all([
    ask(by, interval, joined(filter, inTop)),
    beyond ? ask("", interval, joined(filter, beyond)) : null,
    beyond ? ask("", "none", joined(filter, beyond)) : null,
  ]);
  const step = (series.interval_s ?? 0) * 1000;
  const fill = (rows: Row[]): [number, number | null][] => {
    const at = new Map(rows.map((row) => [Date.parse(String(row.time)), number(row[measure.id])]));
    return filled(at, step, { from, to }, measure.adds || measure.id === "traces" ? 0 : null);
  };
  const groups: Group[] = shown.map((one) => ({
    ...one,
    name: by ? one.name || "(none)" : measure.title,
    filter: by ? `${by} = ${quoted(one.name)}` : "",
    points: fill((series.rows as Row[]).filter((row) => !by || String(row[by] ?? "") === one.name)),
  }));
  if (others) {
    const row = (othersTotal?.rows as Row[] | undefined)?.[0];
    groups.push({
      name: `${OTHER} (${rest.length})`,
      value: number(row?.[measure.id]),
      calls: Number(row?.count ?? 0),
      filter: beyond,
      points: fill(others.rows as Row[]),
    });
  }
  return { groups, intervalMs: step, from, to };
}
