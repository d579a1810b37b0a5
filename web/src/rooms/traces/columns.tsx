/** The columns of the trace list. */
import type { ReactNode } from "react";
import type { TraceSummary } from "../../api/types";
import { EnvironmentTag, Money, Pill, StatusDot, Time } from "../../ui/atoms";
import { compact, duration } from "../../ui/format";
import { preview } from "../../ui/preview";
import css from "./traces.module.css";

export interface Column {
  id: string;
  title: string;
  width: string;
  right?: boolean;
  always?: boolean;
  wide?: boolean; // left out on narrow screens
  roomy?: boolean; // shown only where there is room, unless asked for
  cell: (trace: TraceSummary) => ReactNode;
}

/** What a list of traces shows, and how. */
export interface Shown {
  filter: string;
  words: string;
  scored: boolean;
  columns: Column[];
  height: number;
}

/** Mean scores by name, rounded, when the list was asked with them. */
export function scoresOf(trace: TraceSummary): Record<string, number> {
  return Object.fromEntries(
    Object.entries(trace.scores ?? {}).map(([name, value]) => [name, Math.round(value * 100) / 100]),
  );
}

export const COLUMNS: Column[] = [
  {
    id: "name",
    title: "Trace",
    width: "minmax(150px, 1.3fr)",
    always: true,
    cell: (trace) => (
      <span className="row">
        <StatusDot tone={trace.status === "error" ? "bad" : "good"} label={trace.status} />
        <span className={`truncate ${css.name}`}>{trace.name}</span>
        {trace.span_count > 1 && <span className={css.spans}>{compact(trace.span_count)}</span>}
      </span>
    ),
  },
  {
    id: "input",
    title: "Input",
    width: "minmax(120px, 2fr)",
    wide: true,
    cell: (trace) => <span className="truncate soft">{preview(trace.input_preview, "input")}</span>,
  },
  {
    id: "output",
    title: "Output",
    width: "minmax(120px, 2fr)",
    wide: true,
    cell: (trace) => (
      <span className="truncate soft">
        {trace.status === "error" && trace.error_message ? (
          <span className={css.failed}>{trace.error_message}</span>
        ) : (
          preview(trace.output_preview, "output")
        )}
      </span>
    ),
  },
  {
    id: "model",
    title: "Model",
    width: "minmax(96px, 140px)",
    wide: true,
    cell: (trace) => (
      <span className="truncate soft" title={trace.models.join(", ")}>
        {trace.models[0] ?? ""}
        {trace.models.length > 1 && ` +${trace.models.length - 1}`}
      </span>
    ),
  },
  { id: "latency", title: "Latency", width: "80px", right: true, cell: (trace) => duration(trace.duration_ms) },
  {
    id: "ttft",
    title: "TTFT",
    roomy: true,
    width: "72px",
    right: true,
    wide: true,
    cell: (trace) => <span className="soft">{duration(trace.ttft_ms)}</span>,
  },
  {
    id: "tokens",
    title: "Tokens",
    width: "72px",
    right: true,
    wide: true,
    cell: (trace) => (
      <span title={`${trace.input_tokens} in, ${trace.output_tokens} out`}>
        {trace.total_tokens ? compact(trace.total_tokens) : "–"}
      </span>
    ),
  },
  {
    id: "cost",
    title: "Cost",
    width: "84px",
    right: true,
    wide: true,
    cell: (trace) => (trace.total_tokens > 0 || trace.cost_usd !== null ? <Money value={trace.cost_usd} short /> : "–"),
  },
  {
    id: "user",
    title: "User",
    width: "90px",
    wide: true,
    cell: (trace) => <span className="truncate soft">{trace.user_id}</span>,
  },
  {
    id: "session",
    title: "Session",
    width: "96px",
    wide: true,
    cell: (trace) => <span className="truncate soft">{trace.session_id}</span>,
  },
  {
    id: "tags",
    title: "Tags",
    width: "120px",
    wide: true,
    cell: (trace) => (
      <span className={css.tags}>
        {trace.tags.map((tag) => (
          <Pill key={tag}>{tag}</Pill>
        ))}
      </span>
    ),
  },
  {
    id: "scores",
    title: "Scores",
    width: "minmax(100px, 170px)",
    wide: true,
    cell: (trace) => (
      <span className={css.tags}>
        {Object.entries(scoresOf(trace)).map(([name, value]) => (
          <Pill key={name} title={`${name} ${value}`}>
            {name} {value}
          </Pill>
        ))}
      </span>
    ),
  },
  {
    id: "environment",
    title: "Environment",
    width: "104px",
    wide: true,
    cell: (trace) => <EnvironmentTag name={trace.environment} />,
  },
  {
    id: "time",
    title: "Time",
    width: "88px",
    right: true,
    always: true,
    cell: (trace) => <Time value={trace.start_time} className="soft" />,
  },
];

export const DEFAULT_COLUMNS = [
  "name",
  "input",
  "output",
  "model",
  "latency",
  "ttft",
  "tokens",
  "cost",
  "environment",
  "time",
];

/** The columns named in the URL, or the usual ones. */
export function chosenColumns(text: string | undefined): Column[] {
  const wanted = text ? text.split(",") : DEFAULT_COLUMNS;
  return COLUMNS.filter((column) => column.always || wanted.includes(column.id));
}
