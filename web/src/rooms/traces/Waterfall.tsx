/** The spans of a trace as a tree beside their bars in time. Only what is on screen is drawn, so 5,000 spans stay fluent. */
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { useKeys } from "../../shell/keys";
import { KindIcon, kindColor } from "../../ui/atoms";
import { compact, duration, integer, usd } from "../../ui/format";
import { type Row, startMs, type Tree, visibleRows } from "./model";
import css from "./traces.module.css";

const ROW = 30;

export function Waterfall({
  tree,
  selected,
  select,
}: {
  tree: Tree;
  selected: string | undefined;
  select: (spanId: string) => void;
}) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => visibleRows(tree, folded), [tree, folded]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 14,
  });
  const index = rows.findIndex((row) => row.span.span_id === selected);
  const toggle = (id: string) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  const move = (by: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, index + by))];
    if (next) select(next.span.span_id);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    ArrowLeft: () => selected && !folded.has(selected) && toggle(selected),
    ArrowRight: () => selected && folded.has(selected) && toggle(selected),
  });
  useEffect(() => {
    if (index >= 0) list.scrollToIndex(index, { align: "auto" });
  }, [index, list]);
  const all = () => setFolded(folded.size > 0 ? new Set() : new Set(tree.children.keys()));
  const span = tree.to - tree.from;
  return (
    <div className={css.waterfall}>
      <div className={css.waterfallHead}>
        <button type="button" className={css.foldAll} onClick={all}>
          {integer(tree.byId.size)} {tree.byId.size === 1 ? "span" : "spans"}
          <span className="muted"> · {folded.size > 0 ? "unfold all" : "fold all"}</span>
        </button>
        <div className={css.ruler} aria-hidden="true">
          {[0, 0.25, 0.5, 0.75, 1].map((at) => (
            <span key={at} style={{ left: `${at * 100}%` }} data-end={at === 1}>
              {at === 0 ? "0" : duration(span * at)}
            </span>
          ))}
        </div>
      </div>
      <div ref={scroller} className={css.waterfallBody} role="tree" aria-label="Spans of the trace">
        <div style={{ height: list.getTotalSize(), position: "relative" }}>
          {list.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return (
              row && (
                <SpanRow
                  key={row.span.span_id}
                  row={row}
                  tree={tree}
                  top={item.start}
                  selected={row.span.span_id === selected}
                  folded={folded.has(row.span.span_id)}
                  select={select}
                  toggle={toggle}
                />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

function SpanRow({
  row,
  tree,
  top,
  selected,
  folded,
  select,
  toggle,
}: {
  row: Row;
  tree: Tree;
  top: number;
  selected: boolean;
  folded: boolean;
  select: (id: string) => void;
  toggle: (id: string) => void;
}) {
  const { span, depth, children } = row;
  const whole = tree.to - tree.from;
  const left = ((startMs(span) - tree.from) / whole) * 100;
  const width = (span.duration_ms / whole) * 100;
  const error = span.status === "error";
  const place = left + width <= 78 ? "after" : left >= 16 ? "before" : "inside";
  const placed =
    place === "after"
      ? { left: `${left + width}%` }
      : place === "before"
        ? { right: `${100 - left}%` }
        : { right: `${Math.max(0, 100 - left - width)}%` };
  return (
    <div
      className={css.span}
      style={{ transform: `translateY(${top}px)`, height: ROW }}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={selected}
      aria-expanded={children > 0 ? !folded : undefined}
      tabIndex={selected ? 0 : -1}
      onClick={() => select(span.span_id)}
      onKeyDown={(event) => event.key === "Enter" && select(span.span_id)}
    >
      <div className={css.spanName} style={{ paddingLeft: 6 + Math.min(depth, 24) * 14 }}>
        {children > 0 ? (
          <button
            type="button"
            className={css.toggle}
            tabIndex={-1}
            aria-label={folded ? "Unfold" : "Fold"}
            onClick={(event) => {
              event.stopPropagation();
              toggle(span.span_id);
            }}
          >
            {folded ? <IconChevronRight size={13} /> : <IconChevronDown size={13} />}
          </button>
        ) : (
          <span className={css.toggle} />
        )}
        <KindIcon kind={span.kind} />
        <span className="truncate" data-error={error} title={span.name}>
          {span.name}
        </span>
        {folded && <span className={css.below}>{integer(children)}</span>}
        <span className="grow" />
        {span.total_tokens > 0 && <span className={css.spanTokens}>{compact(span.total_tokens)} tok</span>}
        {span.cost_usd !== null && <span className={css.spanTokens}>{usd(span.cost_usd)}</span>}
      </div>
      <div className={css.track}>
        <span
          className={css.spanBar}
          style={{
            left: `${left}%`,
            width: `max(2px, ${width}%)`,
            background: error ? "var(--bad)" : kindColor(span.kind),
          }}
        />
        <span className={css.spanTime} data-inside={place === "inside"} style={placed}>
          {duration(span.duration_ms)}
        </span>
      </div>
    </div>
  );
}
