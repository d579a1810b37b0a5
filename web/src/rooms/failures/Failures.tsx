/** What fails, told apart by cause rather than by count; and which steps own the latency. */
import { IconChecks, IconRoute2 } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { FailureRow, Page } from "../../api/agreed";
import { useAsk } from "../../api/ask";
import { useApi, useKept } from "../../api/client";
import type { FailuresSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { useKeys } from "../../shell/keys";
import { SavedViews } from "../../shell/SavedViews";
import { useScope } from "../../shell/scope";
import { KindIcon, PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { duration, integer, percent, plural } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Spark } from "../../ui/Spark";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./failures.module.css";

const TABS = [
  { id: "failures", title: "Failures" },
  { id: "latency", title: "Latency owners" },
];

export function Failures() {
  const search = useSearch({ strict: false }) as FailuresSearch;
  const navigate = useNavigate();
  const tab = search.tab === "latency" ? "latency" : "failures";
  const change = (next: FailuresSearch) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...next })) as never, replace: true });
  return (
    <div className={page.page} style={{ maxWidth: 1500 }}>
      <PageHead title="Failures" note="Errors of one cause stand together, however their numbers and ids differ.">
        <SavedViews page="failures" />
      </PageHead>
      <FilterBar
        filter={search.filter ?? ""}
        search=""
        words={false}
        change={(next) => change({ filter: next.filter })}
      />
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
      {tab === "failures" ? <List filter={search.filter ?? ""} /> : <Owners filter={search.filter ?? ""} />}
    </div>
  );
}

function List({ filter }: { filter: string }) {
  const ask = useAsk();
  const { project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const query = useInfiniteQuery({
    queryKey: [project, "failures", scope.key, filter, "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      ask<Page<FailureRow>>("GET", "/failures", {
        query: { ...scope.bounds(), filter, environment: scope.env, limit: 50, cursor: pageParam },
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: kept,
    retry: false,
  });
  const rows = query.data?.pages.flatMap((one) => one.data) ?? [];
  const bounds = scope.bounds();
  useKeys({
    j: () => setAt(Math.min(rows.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    Enter: () => {
      const row = rows[at];
      if (row) void navigate({ to: "/traces", search: { filter: clauseOf(row) } as never });
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
                    <Line key={row.signature} row={row} bounds={bounds} chosen={place === at} />
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

function clauseOf(row: FailureRow): string {
  return `signature = "${row.signature}"`;
}

const BINS = 24;

/** The counts in equal parts of the range, so that quiet times show as such. */
function trend(series: FailureRow["series"], bounds: { from: string; to: string }): number[] {
  const from = Date.parse(bounds.from);
  const step = Math.max(1, (Date.parse(bounds.to) - from) / BINS);
  const bins = new Array<number>(BINS).fill(0);
  for (const [time, count] of series) {
    const at = typeof time === "number" ? time : Date.parse(time);
    const bin = Math.max(0, Math.min(BINS - 1, Math.floor((at - from) / step)));
    bins[bin] = (bins[bin] ?? 0) + count;
  }
  return bins;
}

function Line({ row, bounds, chosen }: { row: FailureRow; bounds: { from: string; to: string }; chosen: boolean }) {
  return (
    <tr aria-selected={chosen} className={css.line}>
      <td className={css.title}>
        <span className="row">
          <Pill tone="bad">{row.error_class || "error"}</Pill>
          {row.is_new && <Pill tone="warn">new</Pill>}
          <Link to="/traces" search={{ filter: clauseOf(row) } as never} className="truncate" title={row.title}>
            {row.title}
          </Link>
        </span>
        <span className={css.example}>
          <span className="truncate">{row.example.message}</span>
          <Link
            to="/traces/$traceId"
            params={{ traceId: row.example.trace_id }}
            search={{ span: row.example.span_id } as never}
          >
            example
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

interface Owner {
  name: string;
  kind: string;
  traces: number;
  share: number;
  own_ms?: number;
  own_ms_p50?: number;
  own_ms_p95?: number;
}

function Owners({ filter }: { filter: string }) {
  const ask = useAsk();
  const { project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const query = useQuery({
    queryKey: [project, "latency-owners", scope.key, filter, "live"],
    queryFn: () =>
      ask<Page<Owner> | { rows: Owner[] }>("GET", "/latency/owners", {
        query: { ...scope.bounds(), filter, environment: scope.env },
      }),
    placeholderData: kept,
    retry: false,
  });
  return (
    <Panel flush>
      <Loaded query={query} rows={8}>
        {(answer) => {
          const rows = "rows" in answer ? answer.rows : answer.data;
          if (rows.length === 0)
            return (
              <Empty icon={IconRoute2} title="No traces in this range">
                The steps on the critical path of traces show here, the one that takes most of it first.
              </Empty>
            );
          return (
            <table className={ui.table}>
              <thead>
                <tr>
                  <th>Step</th>
                  <th style={{ width: "40%" }}>Share of the critical path</th>
                  <th data-right>Own time</th>
                  <th data-right>Traces</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={`${row.kind} ${row.name}`}>
                    <td>
                      <span className="row">
                        <KindIcon kind={row.kind} />
                        <Link to="/traces" search={{ filter: `name = "${row.name.replace(/"/g, '\\"')}"` } as never}>
                          {row.name}
                        </Link>
                      </span>
                    </td>
                    <td>
                      <span className={css.share}>
                        <i style={{ width: `${Math.max(0.5, row.share * 100)}%` }} />
                        <b>{percent(row.share)}</b>
                      </span>
                    </td>
                    <td data-right>{duration(row.own_ms ?? row.own_ms_p50)}</td>
                    <td data-right>{plural(row.traces, "trace")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          );
        }}
      </Loaded>
    </Panel>
  );
}
