/** Rows of /metrics as series of points, gaps filled as what they are: no calls is zero calls but no latency. */
import type { Series } from "../../ui/Chart";
import { filled } from "../../ui/chart/fill";

export type Row = Record<string, unknown>;

const PALETTE = ["--s1", "--s2", "--s3", "--s4", "--s6", "--s7"];
const OTHER = "--s8";

export function timeOf(value: unknown): number {
  return typeof value === "number" ? value : Date.parse(String(value));
}

export function total(rows: Row[], column: string): number {
  return rows.reduce((sum, row) => sum + Number(row[column] ?? 0), 0);
}

export function series(
  rows: Row[],
  column: string,
  step: number,
  from: number,
  to: number,
  zero: boolean,
): [number, number | null][] {
  const at = new Map(
    rows.map((row) => [
      timeOf(row.time),
      row[column] === null || row[column] === undefined ? null : Number(row[column]),
    ]),
  );
  return filled(at, step, { from, to }, zero ? 0 : null);
}

interface Data {
  rows: Row[];
  intervalMs: number;
}

function grouped(data: Data, dimension: string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of data.rows) {
    const name = String(row[dimension] ?? "");
    const list = groups.get(name);
    if (list) list.push(row);
    else groups.set(name, [row]);
  }
  return groups;
}

export function perStatus(data: Data, bounds: { from: number; to: number }): Series[] {
  const groups = grouped(data, "status");
  const bad = groups.get("error") ?? [];
  const good = [...groups].filter(([name]) => name !== "error").flatMap(([, rows]) => rows);
  return [
    { name: "ok", color: "--s1", kind: "bar", points: summed(good, "calls", data.intervalMs, bounds) },
    { name: "error", color: "--s5", kind: "bar", points: summed(bad, "calls", data.intervalMs, bounds) },
  ];
}

function summed(
  rows: Row[],
  column: string,
  step: number,
  bounds: { from: number; to: number },
): [number, number | null][] {
  const sums = new Map<number, number>();
  for (const row of rows) {
    const time = timeOf(row.time);
    sums.set(time, (sums.get(time) ?? 0) + Number(row[column] ?? 0));
  }
  const merged = [...sums].map(([time, value]) => ({ time, [column]: value }));
  return series(merged, column, step, bounds.from, bounds.to, true);
}

/** The five largest by name, the rest as one. */
export function perModel(
  data: Data,
  column: string,
  bounds: { from: number; to: number },
): (Series & { model?: string })[] {
  const groups = [...grouped(data, "model")]
    .map(([name, rows]) => ({ name, rows, sum: total(rows, column) }))
    .filter((group) => group.sum > 0)
    .sort((one, other) => other.sum - one.sum);
  const shown: (Series & { model?: string })[] = groups.slice(0, 5).map((group, place) => ({
    name: group.name || "unknown model",
    model: group.name,
    color: PALETTE[place] ?? OTHER,
    kind: "bar",
    points: summed(group.rows, column, data.intervalMs, bounds),
  }));
  const rest = groups.slice(5).flatMap((group) => group.rows);
  if (rest.length > 0)
    shown.push({ name: "others", color: OTHER, kind: "bar", points: summed(rest, column, data.intervalMs, bounds) });
  return shown;
}

export function num(row: Row, column: string): number {
  return Number(row[column] ?? 0);
}

export function maybe(row: Row, column: string): number | null {
  return row[column] === null || row[column] === undefined ? null : Number(row[column]);
}

export function text(row: Row, column: string): string | null {
  const value = row[column];
  return value === null || value === undefined ? null : String(value);
}
