/** Traces as a table that draws what is on screen only, walked by keyboard. */
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { useApi } from "../../api/client";
import type { TraceSummary } from "../../api/types";
import { useKeys } from "../../shell/keys";
import type { Column } from "./columns";
import { orderKey } from "./order";
import css from "./traces.module.css";

export function TraceRows({
  rows,
  columns,
  height,
  more,
  footer,
  isFresh,
}: {
  rows: TraceSummary[];
  columns: Column[];
  height: number;
  more?: () => void;
  footer: string;
  /** Whether a trace has only just come, and is to be noticed. */
  isFresh?: (traceId: string) => boolean;
}) {
  const { project } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const scroller = useRef<HTMLDivElement>(null);
  const [chosen, choose] = useState<string | null>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the rows are measured anew when their height changes
  useEffect(() => list.measure(), [height, list]);
  const template = columns.map((column) => column.width).join(" ");
  const items = list.getVirtualItems();
  const end = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (end >= rows.length - 20) more?.();
  }, [end, rows.length, more]);
  const open = (trace: TraceSummary) => {
    queries.setQueryData(
      orderKey(project),
      rows.map((row) => row.trace_id),
    );
    void navigate({ to: "/traces/$traceId", params: { traceId: trace.trace_id } });
  };
  const move = (by: number) => {
    const at = rows.findIndex((row) => row.trace_id === chosen);
    const next = Math.max(0, Math.min(rows.length - 1, at + by));
    const row = rows[next];
    if (row) {
      choose(row.trace_id);
      list.scrollToIndex(next, { align: "auto" });
    }
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => {
      const row = rows.find((one) => one.trace_id === chosen);
      if (row) open(row);
    },
  });
  return (
    // biome-ignore lint/a11y/useSemanticElements: a virtual list cannot be a table element
    <div className={css.table} role="table" aria-label="Traces" aria-rowcount={rows.length}>
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: a row of headings does nothing */}
      <div className={css.tableHead} role="row" style={{ gridTemplateColumns: template }}>
        {columns.map((column) => (
          // biome-ignore lint/a11y/useSemanticElements: as above
          // biome-ignore lint/a11y/useFocusableInteractive: headings do nothing
          <div key={column.id} role="columnheader" data-right={column.right}>
            {column.title}
          </div>
        ))}
      </div>
      <div ref={scroller} className={css.tableBody}>
        <div style={{ height: list.getTotalSize() + 40, position: "relative" }}>
          {items.map((item) => {
            const trace = rows[item.index];
            return (
              trace && (
                <Link
                  key={trace.trace_id}
                  to="/traces/$traceId"
                  params={{ traceId: trace.trace_id }}
                  preload={false}
                  role="row"
                  aria-selected={trace.trace_id === chosen}
                  data-fresh={isFresh?.(trace.trace_id)}
                  className={css.traceRow}
                  style={{ gridTemplateColumns: template, height, transform: `translateY(${item.start}px)` }}
                  onClick={() =>
                    queries.setQueryData(
                      orderKey(project),
                      rows.map((row) => row.trace_id),
                    )
                  }
                >
                  {columns.map((column) => (
                    // biome-ignore lint/a11y/useSemanticElements: as above
                    <span key={column.id} role="cell" data-right={column.right}>
                      {column.cell(trace)}
                    </span>
                  ))}
                </Link>
              )
            );
          })}
          <div className={css.footer} style={{ top: list.getTotalSize() }}>
            {footer}
          </div>
        </div>
      </div>
    </div>
  );
}
