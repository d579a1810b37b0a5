/** What fails, told apart by cause rather than by count; and which steps own the latency. */
import { IconChecks } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { FailurePage, FailureRow } from "../../api/types";
import type { FailuresSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { useKeys } from "../../shell/keys";
import { SavedViews } from "../../shell/SavedViews";
import { type Bounds, useScope } from "../../shell/scope";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { integer } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Spark } from "../../ui/Spark";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./failures.module.css";
import { LatencyOwners } from "./LatencyOwners";

const TABS = [
  { id: "failures", title: "Failures" },
  { id: "latency", title: "Latency owners" },
];

export function Failures() {
  const search = useSearch({ strict: false }) as FailuresSearch;
  const navigate = useNavigate();
  const tab = search.tab === "latency" ? "latency" : "failures";
  const filter = search.filter ?? "";
  const change = (next: FailuresSearch) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...next })) as never, replace: true });
  return (
    <div className={page.page} style={{ maxWidth: 1500 }}>
      <PageHead title="Failures" note="Errors of one cause stand together, however their numbers and ids differ.">
        <SavedViews page="failures" />
      </PageHead>
      <FilterBar filter={filter} search="" words={false} change={(next) => change({ filter: next.filter })} />
      <div className={ui.tabs} role="tablist" aria-label="Failures">
        {TABS.map((one) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            aria-selected={one.id === tab}
            className={ui.tab}
            onClick={() => change({ tab: one.id === "failures" ? undefined : one.id })}
          >
            {one.title}
          </button>
        ))}
      </div>
      {tab === "failures" ? <List filter={filter} /> : <LatencyOwners filter={filter} />}
    </div>
  );
}

function List({ filter }: { filter: string }) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const query = useInfiniteQuery({
    queryKey: [project, "failures", scope.key, filter, "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(
        api.GET("/api/v1/failures", {
          params: { query: { ...scope.asked(filter), limit: 50, ...(pageParam && { cursor: pageParam }) } },
        }),
      ) as Promise<FailurePage>,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: kept,
  });
  const rows = query.data?.pages.flatMap((one) => one.data) ?? [];
  const bounds = scope.bounds();
  useKeys({
    j: () => setAt(Math.min(rows.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    Enter: () => {
      const row = rows[at];
      if (row) void navigate({ to: "/failures/$signature", params: { signature: row.signature } });
    },
  });
  return (
    <Panel flush>
      <Loaded query={query} rows={8}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={IconChecks} title="Nothing failed in this range">
              Failed spans, refused calls and exceptions of any client show here, by cause.
            </Empty>
          ) : (
            <div className={ui.tableWrap}>
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>Failure</th>
                    <th>Trend</th>
                    <th data-right>Times</th>
                    <th data-right>Traces</th>
                    <th data-right>Users</th>
                    <th>Models</th>
                    <th data-right>First seen</th>
                    <th data-right>Last seen</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map((row, place) => (
                    <Line key={row.signature} row={row} bounds={bounds} filter={filter} chosen={place === at} />
                  ))}
                </tbody>
              </table>
              {query.hasNextPage && (
                <button type="button" className={css.more} onClick={() => void query.fetchNextPage()}>
                  More
                </button>
              )}
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

const BINS = 24;

/** The counts in equal parts of the range, so that quiet times show as such. */
function trend(series: FailureRow["series"], bounds: Bounds): number[] {
  const from = Date.parse(bounds.from);
  const step = Math.max(1, (Date.parse(bounds.to) - from) / BINS);
  const bins = new Array<number>(BINS).fill(0);
  for (const [time, count] of series) {
    const bin = Math.max(0, Math.min(BINS - 1, Math.floor((Date.parse(time) - from) / step)));
    bins[bin] = (bins[bin] ?? 0) + count;
  }
  return bins;
}

function Line({ row, bounds, filter, chosen }: { row: FailureRow; bounds: Bounds; filter: string; chosen: boolean }) {
  return (
    <tr aria-selected={chosen} className={css.line}>
      <td className={css.title}>
        <span className="row">
          <Pill tone="bad">{row.error_class}</Pill>
          {row.is_new && <Pill tone="warn">new</Pill>}
          <Link
            to="/failures/$signature"
            params={{ signature: row.signature }}
            search={(filter ? { filter } : {}) as never}
            className="truncate"
            title={row.title}
          >
            {row.title}
          </Link>
        </span>
      </td>
      <td>
        <Spark points={trend(row.series, bounds)} />
      </td>
      <td data-right>{integer(row.count)}</td>
      <td data-right>{integer(row.traces)}</td>
      <td data-right>{integer(row.users)}</td>
      <td className="soft" title={row.models.join(", ")}>
        {row.models[0] ?? "–"}
        {row.models.length > 1 && ` +${row.models.length - 1}`}
      </td>
      <td data-right className="soft">
        <Time value={row.first_seen} />
      </td>
      <td data-right className="soft">
        <Time value={row.last_seen} />
      </td>
    </tr>
  );
}
