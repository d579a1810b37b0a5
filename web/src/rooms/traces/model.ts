/** What the trace pages compute from spans: the tree, who is visible, who may be drawn. */
import type { SpanSummary } from "../../api/types";

export interface Row {
  span: SpanSummary;
  depth: number;
  children: number; // all below
  last: boolean;
}

export function startMs(span: { start_time: string }): number {
  return Date.parse(span.start_time);
}

export interface Tree {
  roots: string[];
  children: Map<string, string[]>;
  byId: Map<string, SpanSummary>;
  descendants: Map<string, number>;
  from: number;
  to: number;
}

/** Spans may come late, twice or without their parent: an orphan is shown as a root, a cycle is cut. */
export function buildTree(spans: SpanSummary[]): Tree {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const children = new Map<string, string[]>();
  const roots: string[] = [];
  const ordered = [...byId.values()].sort((one, other) => startMs(one) - startMs(other));
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const span of ordered) {
    from = Math.min(from, startMs(span));
    to = Math.max(to, startMs(span) + span.duration_ms);
    const parent = span.parent_span_id;
    if (!parent || parent === span.span_id || !byId.has(parent)) roots.push(span.span_id);
    else {
      const list = children.get(parent);
      if (list) list.push(span.span_id);
      else children.set(parent, [span.span_id]);
    }
  }
  const descendants = new Map<string, number>();
  const seen = new Set<string>();
  const order: string[] = [];
  const visit = (start: string) => {
    const stack = [start];
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
      visit(span.span_id);
    }
  for (let place = order.length - 1; place >= 0; place--) {
    const id = order[place] as string;
    descendants.set(
      id,
      (children.get(id) ?? []).reduce((sum, child) => sum + 1 + (descendants.get(child) ?? 0), 0),
    );
  }
  return { roots, children, byId, descendants, from, to: Math.max(to, from + 1) };
}

export function visibleRows(tree: Tree, folded: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  const seen = new Set<string>();
  const stack = tree.roots.map((id) => ({ id, depth: 0 })).reverse();
  while (stack.length > 0) {
    const next = stack.pop();
    if (!next || seen.has(next.id)) continue;
    seen.add(next.id);
    const span = tree.byId.get(next.id);
    if (!span) continue;
    rows.push({ span, depth: next.depth, children: tree.descendants.get(next.id) ?? 0, last: false });
    if (folded.has(next.id)) continue;
    const below = tree.children.get(next.id) ?? [];
    for (let place = below.length - 1; place >= 0; place--)
      stack.push({ id: below[place] as string, depth: next.depth + 1 });
  }
  return rows;
}
