/** All traces of the scope: filtered by the URL, newest first, growing as one scrolls, live while on top. */
import { ActionIcon, Checkbox, Menu, Tooltip } from "@mantine/core";
import { useLocalStorage, useMediaQuery } from "@mantine/hooks";
import { IconBaselineDensityMedium, IconBaselineDensitySmall, IconColumns3, IconListTree } from "@tabler/icons-react";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { TraceSummary } from "../../api/types";
import type { TracesSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { useKeys } from "../../shell/keys";
import { SavedViews } from "../../shell/SavedViews";
import { useScope } from "../../shell/scope";
import { FirstCall } from "../../ui/FirstCall";
import { Empty, Failure, Loading } from "../../ui/states";
import { COLUMNS, type Column, chosenColumns, DEFAULT_COLUMNS } from "./columns";
import { Export } from "./Export";
import { orderKey } from "./order";
import css from "./traces.module.css";

const PAGE = 100;

function useTraces(filter: string, search: string, scored: boolean) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  return useInfiniteQuery({
    queryKey: [project, "traces", scope.key, filter, search, scored, "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(
        api.GET("/api/v1/traces", {
          params: {
            query: {
              ...scope.asked(filter, search),
              limit: PAGE,
              ...(scored && { with_scores: true }),
              ...(pageParam && { cursor: pageParam }),
            },
          },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: kept,
  });
}

export function TraceList() {
  const search = useSearch({ strict: false }) as TracesSearch;
  const navigate = useNavigate();
  const filter = search.filter ?? "";
  const words = search.q ?? "";
  const traces = useTraces(filter, words, (search.columns ?? "").split(",").includes("scores"));
  const narrow = useMediaQuery("(max-width: 800px)", false, { getInitialValueInEffect: false });
  const tight = useMediaQuery("(max-width: 1599px)", false, { getInitialValueInEffect: false });
  const [dense, setDense] = useLocalStorage({
    key: "octavo-dense",
    defaultValue: true,
    getInitialValueInEffect: false,
  });
  const columns = useMemo(
    () =>
      chosenColumns(search.columns).filter(
        (column) => !(narrow && column.wide) && !(tight && column.roomy && search.columns === undefined),
      ),
    [search.columns, narrow, tight],
  );
  const change = (next: TracesSearch) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...next })) as never, replace: true });
  const rows = useMemo(() => traces.data?.pages.flatMap((page) => page.data) ?? [], [traces.data]);
  return (
    <div className={css.list}>
      <div className={css.toolbar}>
        <FilterBar filter={filter} search={words} change={(next) => change({ filter: next.filter, q: next.q })} />
        <SavedViews page="traces" />
        <Export filter={filter} />
        <ColumnChooser chosen={search.columns} change={(next) => change({ columns: next })} />
        <Tooltip label={dense ? "Comfortable rows" : "Compact rows"}>
          <ActionIcon onClick={() => setDense(!dense)} aria-label="Row density" aria-pressed={dense}>
            {dense ? <IconBaselineDensitySmall size={16} /> : <IconBaselineDensityMedium size={16} />}
          </ActionIcon>
        </Tooltip>
      </div>
      {traces.isPending ? (
        <Loading rows={16} />
      ) : traces.error && rows.length === 0 ? (
        <Failure error={traces.error} retry={() => void traces.refetch()} />
      ) : rows.length === 0 ? (
        <None filtered={filter !== "" || words !== ""} clear={() => change({ filter: undefined, q: undefined })} />
      ) : (
        <Rows
          rows={rows}
          columns={columns}
          height={dense ? 34 : 44}
          more={() => {
            if (traces.hasNextPage && !traces.isFetchingNextPage) void traces.fetchNextPage();
          }}
          footer={
            traces.hasNextPage ? "Loading more…" : `End of the range · ${rows.length.toLocaleString("en")} traces`
          }
        />
      )}
    </div>
  );
}

function None({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered)
    return (
      <Empty icon={IconListTree} title="No trace matches">
        Nothing in this range and environment fits the search and filters.{" "}
        <button type="button" className={css.more} onClick={clear}>
          Clear them
        </button>
      </Empty>
    );
  return (
    <Empty icon={IconListTree} title="No traces in this range yet">
      <p>
        Send a call through the gateway, or spans from any OpenTelemetry or Langfuse client. They show up within a
        second.
      </p>
      <FirstCall />
    </Empty>
  );
}

function Rows({
  rows,
  columns,
  height,
  more,
  footer,
}: {
  rows: TraceSummary[];
  columns: Column[];
  height: number;
  more: () => void;
  footer: string;
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
    if (end >= rows.length - 20) more();
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

function ColumnChooser({ chosen, change }: { chosen: string | undefined; change: (next: string | undefined) => void }) {
  const shown = chosen ? chosen.split(",") : DEFAULT_COLUMNS;
  const toggle = (id: string) => {
    const next = shown.includes(id) ? shown.filter((one) => one !== id) : [...shown, id];
    change(next.join(",") === DEFAULT_COLUMNS.join(",") ? undefined : next.join(","));
  };
  return (
    <Menu closeOnItemClick={false} position="bottom-end" width={180}>
      <Menu.Target>
        <Tooltip label="Columns">
          <ActionIcon aria-label="Columns">
            <IconColumns3 size={16} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        {COLUMNS.filter((column) => !column.always).map((column) => (
          <Menu.Item key={column.id} onClick={() => toggle(column.id)} py={5}>
            <Checkbox readOnly tabIndex={-1} label={column.title} checked={shown.includes(column.id)} />
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
