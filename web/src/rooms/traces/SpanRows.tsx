/** The spans of a trace as rows, beside their bars in time or their figures. Only what is on screen is drawn. */
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { KindIcon, kindColor, StatusDot } from "../../ui/atoms";
import { compact, duration, integer, percent, usd } from "../../ui/format";
import type { Row, Tree } from "./model";
import css from "./traces.module.css";

const ROW = 30;

export interface RowsProps {
  tree: Tree;
  rows: Row[];
  mode: "waterfall" | "tree";
  at: number; // the row in focus
  folded: ReadonlySet<string>;
  opened: ReadonlySet<string>;
  critical: ReadonlyMap<string, number>; // share of the trace's time by span
  found: ReadonlySet<string> | null;
  choose: (row: Row) => void;
  toggle: (row: Row) => void;
}

export function SpanRows(props: RowsProps) {
  const { rows, at, mode, tree } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 14,
  });
  useEffect(() => {
    if (at >= 0) list.scrollToIndex(at, { align: "auto" });
  }, [at, list]);
  const whole = tree.to - tree.from;
  return (
    <>
      <div className={css.rowsHead} data-mode={mode} aria-hidden="true">
        <span>Span</span>
        {mode === "waterfall" ? (
          <div className={css.ruler}>
            {[0, 0.25, 0.5, 0.75, 1].map((part) => (
              <span key={part} style={{ left: `${part * 100}%` }} data-end={part === 1}>
                {part === 0 ? "0" : duration(whole * part)}
              </span>
            ))}
          </div>
        ) : (
          <>
            <span>Model</span>
            <span data-right>Latency</span>
            <span data-right>Tokens</span>
            <span data-right>Cost</span>
          </>
        )}
      </div>
      <div ref={scroller} className={css.waterfallBody} role="tree" aria-label="Spans of the trace">
        <div style={{ height: list.getTotalSize(), position: "relative" }}>
          {list.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row && <SpanRow key={row.id} {...props} row={row} top={item.start} selected={item.index === at} />;
          })}
        </div>
      </div>
    </>
  );
}

function SpanRow({
  row,
  tree,
  mode,
  top,
  selected,
  folded,
  opened,
  critical,
  found,
  choose,
  toggle,
}: RowsProps & { row: Row; top: number; selected: boolean }) {
  const { span, depth, children, group } = row;
  const error = !group && span.status === "error";
  const closed = group ? !opened.has(row.id) : folded.has(row.id);
  const share = group ? undefined : critical.get(row.id);
  const onPath = group ? group.spans.some((one) => critical.has(one)) : share !== undefined;
  return (
    <div
      className={css.span}
      data-mode={mode}
      data-error={error}
      data-critical={onPath}
      data-quiet={found !== null && !found.has(row.id)}
      style={{ transform: `translateY(${top}px)`, height: ROW }}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={selected}
      aria-expanded={children > 0 || group ? !closed : undefined}
      tabIndex={selected ? 0 : -1}
      onClick={() => choose(row)}
      onKeyDown={(event) => event.key === "Enter" && choose(row)}
    >
      <div className={css.spanName} style={{ paddingLeft: 6 + Math.min(depth, 24) * 14 }}>
        {children > 0 || group ? (
          <button
            type="button"
            className={css.toggle}
            tabIndex={-1}
            aria-label={closed ? "Unfold" : "Fold"}
            onClick={(event) => {
              event.stopPropagation();
              toggle(row);
            }}
          >
            {closed ? <IconChevronRight size={13} /> : <IconChevronDown size={13} />}
          </button>
        ) : (
          <span className={css.toggle} />
        )}
        <KindIcon kind={span.kind} />
        <span className="truncate" data-error={error} title={span.name}>
          {span.name}
        </span>
        {group && <span className={css.times}>×{integer(group.size)}</span>}
        {group && group.errors > 0 && <span className={css.failures}>{integer(group.errors)} failed</span>}
        {!group && closed && children > 0 && <span className={css.below}>{integer(children)}</span>}
        {!group && !error && closed && tree.failedBelow.has(row.id) && <StatusDot tone="bad" label="failed below" />}
        {share !== undefined && share >= 0.01 && (
          <span className={css.share} title="Share of the trace's critical path that this span itself took">
            {percent(share)}
          </span>
        )}
        <span className="grow" />
        {mode === "waterfall" && (
          <>
            {(group ? group.tokens : span.total_tokens) > 0 && (
              <span className={css.spanTokens}>{compact(group ? group.tokens : span.total_tokens)} tok</span>
            )}
            {group
              ? group.cost !== null && <span className={css.spanTokens}>{usd(group.cost)}</span>
              : span.cost_usd !== null && <span className={css.spanTokens}>{usd(span.cost_usd)}</span>}
          </>
        )}
      </div>
      {mode === "waterfall" ? <Track row={row} tree={tree} /> : <Figures row={row} />}
    </div>
  );
}

function Figures({ row: { span, group } }: { row: Row }) {
  const tokens = group ? group.tokens : span.total_tokens;
  const cost = group ? group.cost : span.cost_usd;
  return (
    <>
      <span className="truncate soft">{span.model}</span>
      <span data-right className="num" title={group ? "of the longest" : undefined}>
        {duration(group ? group.longest : span.duration_ms)}
      </span>
      <span data-right className="num soft">
        {tokens > 0 ? compact(tokens) : ""}
      </span>
      <span data-right className="num soft">
        {cost !== null ? usd(cost) : ""}
      </span>
    </>
  );
}

function Track({ row, tree }: { row: Row; tree: Tree }) {
  const whole = tree.to - tree.from;
  const { span, group } = row;
  const left = (((tree.starts.get(span.span_id) as number) - tree.from) / whole) * 100;
  if (group)
    return (
      <div className={css.track}>
        {group.spans.slice(0, 400).map((id) => {
          const one = tree.byId.get(id);
          return (
            one && (
              <span
                key={id}
                className={css.spanTick}
                data-error={one.status === "error" || tree.failedBelow.has(id)}
                style={{
                  left: `${(((tree.starts.get(id) as number) - tree.from) / whole) * 100}%`,
                  width: `max(1px, ${(one.duration_ms / whole) * 100}%)`,
                  background: kindColor(one.kind),
                }}
              />
            )
          );
        })}
      </div>
    );
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
  );
}
