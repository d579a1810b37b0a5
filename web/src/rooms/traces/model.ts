/** What the trace pages compute from spans: the tree, the rows to show of it, the lanes of the timeline. */
import type { SpanSummary } from "../../api/types";

/** Siblings of one name and kind from this many on are shown as one row. */
const REPEATED = 6;

export interface Row {
  id: string; // of the span, or of the group
  span: SpanSummary; // of a group: its first
  depth: number;
  children: number; // all below
  group?: Group;
}

export interface Group {
  size: number;
  errors: number;
  duration: number; // of all, in ms
  longest: number;
  tokens: number;
  cost: number | null;
  spans: string[];
}

export interface Tree {
  roots: string[];
  children: Map<string, string[]>;
  parents: Map<string, string>;
  byId: Map<string, SpanSummary>;
  descendants: Map<string, number>;
  errors: string[]; // in order of time
  failedBelow: Set<string>;
  starts: Map<string, number>;
  from: number;
  to: number;
}

/** Milliseconds since 1970, microseconds kept as a fraction. */
export function instantMs(time: string): number {
  const micros = /\.\d{3}(\d{1,3})/.exec(time)?.[1];
  return Date.parse(time) + (micros ? Number(micros.padEnd(3, "0")) / 1000 : 0);
}

/** Spans may come late, twice or without their parent: an orphan is shown as a root, a cycle is cut. */
export function buildTree(spans: SpanSummary[]): Tree {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const starts = new Map([...byId.values()].map((span) => [span.span_id, instantMs(span.start_time)]));
  const start = (span: SpanSummary) => starts.get(span.span_id) as number;
  const children = new Map<string, string[]>();
  const parents = new Map<string, string>();
  const roots: string[] = [];
  const ordered = [...byId.values()].sort(
    (one, other) => start(one) - start(other) || other.duration_ms - one.duration_ms,
  );
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const span of ordered) {
    from = Math.min(from, start(span));
    to = Math.max(to, start(span) + span.duration_ms);
    const parent = span.parent_span_id;
    if (!parent || parent === span.span_id || !byId.has(parent)) roots.push(span.span_id);
    else {
      parents.set(span.span_id, parent);
      const list = children.get(parent);
      if (list) list.push(span.span_id);
      else children.set(parent, [span.span_id]);
    }
  }
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = (first: string) => {
    const stack = [first];
    while (stack.length > 0) {
      const id = stack.pop();
      if (id === undefined || seen.has(id)) continue;
      seen.add(id);
      order.push(id);
      for (const child of children.get(id) ?? []) stack.push(child);
    }
  };
  for (const id of roots) visit(id);
  for (const span of ordered)
    if (!seen.has(span.span_id)) {
      roots.push(span.span_id);
      parents.delete(span.span_id);
      visit(span.span_id);
    }
  const descendants = new Map<string, number>();
  const failedBelow = new Set<string>();
  for (let place = order.length - 1; place >= 0; place--) {
    const id = order[place] as string;
    let below = 0;
    for (const child of children.get(id) ?? []) {
      below += 1 + (descendants.get(child) ?? 0);
      if (failedBelow.has(child) || byId.get(child)?.status === "error") failedBelow.add(id);
    }
    descendants.set(id, below);
  }
  const errors = ordered.filter((span) => span.status === "error").map((span) => span.span_id);
  return {
    roots,
    children,
    parents,
    byId,
    descendants,
    errors,
    failedBelow,
    starts,
    from,
    to: Math.max(to, from + 0.001),
  };
}

/** A span and all above it. */
export function lineage(tree: Tree, id: string): string[] {
  const line: string[] = [];
  const seen = new Set<string>();
  for (let at: string | undefined = id; at !== undefined && !seen.has(at); at = tree.parents.get(at)) {
    seen.add(at);
    line.push(at);
  }
  return line;
}

export interface Shown {
  folded: ReadonlySet<string>;
  /** Groups that were opened; null shows all siblings one by one. */
  opened: ReadonlySet<string> | null;
  /** Only these and what is above them. */
  only: ReadonlySet<string> | null;
}

export function visibleRows(tree: Tree, { folded, opened, only }: Shown): Row[] {
  const kept = only && new Set([...only].flatMap((id) => lineage(tree, id)));
  const rows: Row[] = [];
  const seen = new Set<string>();
  type Entry = { depth: number } & ({ id: string } | { group: Row });
  const stack: Entry[] = [];
  const push = (parent: string, ids: string[], depth: number) => {
    const shown = kept ? ids.filter((id) => kept.has(id)) : ids;
    const entries: Entry[] =
      opened === null || kept ? shown.map((id) => ({ id, depth })) : grouped(parent, shown, depth);
    for (let place = entries.length - 1; place >= 0; place--) stack.push(entries[place] as Entry);
  };
  const grouped = (parent: string, ids: string[], depth: number): Entry[] => {
    const named = new Map<string, string[]>();
    for (const id of ids) {
      const span = tree.byId.get(id) as SpanSummary;
      const key = `${span.kind}\u0000${span.name}`;
      const list = named.get(key);
      if (list) list.push(id);
      else named.set(key, [id]);
    }
    const entries: Entry[] = [];
    for (const id of ids) {
      const span = tree.byId.get(id) as SpanSummary;
      const key = `${span.kind}\u0000${span.name}`;
      const alike = named.get(key) as string[];
      if (alike.length < REPEATED) entries.push({ id, depth });
      else if (alike[0] === id) {
        const group = `${parent}/${key}`;
        entries.push({ group: groupRow(tree, group, alike, depth), depth });
        if (opened?.has(group)) for (const one of alike) entries.push({ id: one, depth: depth + 1 });
      }
    }
    return entries;
  };
  push("", tree.roots, 0);
  while (stack.length > 0) {
    const next = stack.pop() as Entry;
    if ("group" in next) {
      rows.push(next.group);
      continue;
    }
    if (seen.has(next.id)) continue;
    seen.add(next.id);
    const span = tree.byId.get(next.id);
    if (!span) continue;
    rows.push({ id: next.id, span, depth: next.depth, children: tree.descendants.get(next.id) ?? 0 });
    if (!folded.has(next.id)) push(next.id, tree.children.get(next.id) ?? [], next.depth + 1);
  }
  return rows;
}

function groupRow(tree: Tree, id: string, spans: string[], depth: number): Row {
  const group: Group = { size: spans.length, errors: 0, duration: 0, longest: 0, tokens: 0, cost: null, spans };
  let below = 0;
  for (const one of spans) {
    const span = tree.byId.get(one) as SpanSummary;
    if (span.status === "error" || tree.failedBelow.has(one)) group.errors++;
    group.duration += span.duration_ms;
    group.longest = Math.max(group.longest, span.duration_ms);
    group.tokens += span.total_tokens;
    if (span.cost_usd !== null) group.cost = (group.cost ?? 0) + Number(span.cost_usd);
    below += 1 + (tree.descendants.get(one) ?? 0);
  }
  return { id, span: tree.byId.get(spans[0] as string) as SpanSummary, depth, children: below, group };
}

/** What has to be unfolded for a span to be on screen: the ids above it and the groups it is in. */
export function pathTo(tree: Tree, id: string): { folds: string[]; groups: string[] } {
  const line = lineage(tree, id);
  const groups = line.map((one) => {
    const span = tree.byId.get(one) as SpanSummary;
    return `${tree.parents.get(one) ?? ""}/${span.kind}\u0000${span.name}`;
  });
  return { folds: line.slice(1), groups };
}

export interface Laned {
  span: SpanSummary;
  lane: number;
  start: number; // ms from the start of the trace
}

/** Each span in a lane below its parent's, beside what does not overlap it in time. */
export function lanes(tree: Tree): { spans: Laned[]; count: number } {
  const ends: number[] = [];
  const laneOf = new Map<string, number>();
  const spans: Laned[] = [];
  const ordered = [...tree.byId.values()].sort((one, other) => {
    const by = (tree.starts.get(one.span_id) as number) - (tree.starts.get(other.span_id) as number);
    return by || other.duration_ms - one.duration_ms;
  });
  const place = (span: SpanSummary) => {
    if (laneOf.has(span.span_id)) return;
    const start = (tree.starts.get(span.span_id) as number) - tree.from;
    const parent = tree.parents.get(span.span_id);
    let lane = parent === undefined ? 0 : (laneOf.get(parent) ?? 0) + 1;
    while ((ends[lane] ?? Number.NEGATIVE_INFINITY) > start + 0.002) lane++;
    ends[lane] = start + span.duration_ms;
    laneOf.set(span.span_id, lane);
    spans.push({ span, lane, start });
  };
  for (const span of ordered) {
    // A parent that starts with its child, or after it by a skewed clock, gets its lane first.
    for (const above of lineage(tree, span.span_id).reverse()) place(tree.byId.get(above) as SpanSummary);
  }
  for (let at = 0; at < ends.length; at++) ends[at] ??= 0;
  return { spans, count: ends.length };
}

/** Summaries that the words fit: name, model, kind, error, ids. */
export function matching(tree: Tree, words: string): Set<string> {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Set<string>();
  for (const span of tree.byId.values()) {
    const text =
      `${span.name} ${span.model} ${span.kind} ${span.status} ${span.error_class} ${span.span_id}`.toLowerCase();
    if (wanted.every((word) => text.includes(word))) found.add(span.span_id);
  }
  return found;
}
