/** All traces of the scope: filtered by the URL, newest first, growing as one scrolls, live while on top. */
import { ActionIcon, Button, Checkbox, Menu, Tooltip } from "@mantine/core";
import { useLocalStorage, useMediaQuery } from "@mantine/hooks";
import {
  IconActivity,
  IconBaselineDensityMedium,
  IconBaselineDensitySmall,
  IconColumns3,
  IconListTree,
} from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { TracesSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { useKeys } from "../../shell/keys";
import { SavedViews } from "../../shell/SavedViews";
import { useScope } from "../../shell/scope";
import { FirstCall } from "../../ui/FirstCall";
import { Empty, Failure, Loading } from "../../ui/states";
import { COLUMNS, chosenColumns, DEFAULT_COLUMNS, type Shown } from "./columns";
import { Export } from "./Export";
import { Tail } from "./Tail";
import { TraceRows } from "./TraceRows";
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
  const scored = (search.columns ?? "").split(",").includes("scores");
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
  useKeys({ l: () => change({ live: search.live ? undefined : true }) });
  const shown = { filter, words, scored, columns, height: dense ? 34 : 44 };
  return (
    <div className={css.list}>
      <div className={css.toolbar}>
        <FilterBar filter={filter} search={words} change={(next) => change({ filter: next.filter, q: next.q })} />
        <LiveTail on={search.live ?? false} change={(live) => change({ live: live || undefined })} />
        <SavedViews page="traces" />
        <Export filter={filter} words={words} />
        <ColumnChooser chosen={search.columns} change={(next) => change({ columns: next })} />
        <Tooltip label={dense ? "Comfortable rows" : "Compact rows"}>
          <ActionIcon onClick={() => setDense(!dense)} aria-label="Row density" aria-pressed={dense}>
            {dense ? <IconBaselineDensitySmall size={16} /> : <IconBaselineDensityMedium size={16} />}
          </ActionIcon>
        </Tooltip>
      </div>
      {search.live ? (
        <Tail {...shown} stop={() => change({ live: undefined })} />
      ) : (
        <Listed {...shown} clear={() => change({ filter: undefined, q: undefined })} />
      )}
    </div>
  );
}

function Listed({ filter, words, scored, columns, height, clear }: Shown & { clear: () => void }) {
  const traces = useTraces(filter, words, scored);
  const rows = useMemo(() => traces.data?.pages.flatMap((page) => page.data) ?? [], [traces.data]);
  if (traces.isPending) return <Loading rows={16} />;
  if (traces.error && rows.length === 0) return <Failure error={traces.error} retry={() => void traces.refetch()} />;
  if (rows.length === 0) return <None filtered={filter !== "" || words !== ""} clear={clear} />;
  return (
    <TraceRows
      rows={rows}
      columns={columns}
      height={height}
      more={() => {
        if (traces.hasNextPage && !traces.isFetchingNextPage) void traces.fetchNextPage();
      }}
      footer={traces.hasNextPage ? "Loading more…" : `End of the range · ${rows.length.toLocaleString("en")} traces`}
    />
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

function LiveTail({ on, change }: { on: boolean; change: (on: boolean) => void }) {
  return (
    <Tooltip label="Show traces as they arrive (l)">
      <Button
        variant={on ? "light" : "default"}
        leftSection={<IconActivity size={14} stroke={1.7} />}
        aria-pressed={on}
        onClick={() => change(!on)}
      >
        Live tail
      </Button>
    </Tooltip>
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
