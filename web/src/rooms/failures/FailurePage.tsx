/** One failure: how often and since when, what it has in common, and the traces in which it happened. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconBell, IconChecks, IconListTree } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { ApiError, take, useApi, useKept } from "../../api/client";
import type { FailureDetail } from "../../api/types";
import { clause, join } from "../../shell/filter/filter";
import { useScope } from "../../shell/scope";
import { Fact, PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Chart, type ChartSpec } from "../../ui/Chart";
import { filled } from "../../ui/chart/fill";
import { duration, integer, percent } from "../../ui/format";
import page from "../../ui/page.module.css";
import { preview } from "../../ui/preview";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./failures.module.css";

/** The dimensions of a breakdown, in the order in which a cause is looked for. */
const DIMENSIONS: [string, string][] = [
  ["name", "Step"],
  ["model", "Model"],
  ["provider", "Provider"],
  ["release", "Release"],
  ["environment", "Environment"],
  ["app", "Application"],
];
const EXAMPLES = 10;

export function FailurePage() {
  const { signature } = useParams({ strict: false }) as { signature: string };
  const { filter = "" } = useSearch({ strict: false }) as { filter?: string };
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const query = useQuery({
    queryKey: [project, "failure", signature, scope.key, filter, "live"],
    queryFn: () =>
      take(
        api.GET("/api/v1/failures/{signature}", { params: { path: { signature }, query: scope.asked(filter) } }),
      ) as Promise<FailureDetail>,
    placeholderData: kept,
    retry: false,
  });
  if (query.error instanceof ApiError && query.error.status === 404)
    return (
      <Empty
        icon={IconChecks}
        title="It did not happen in this range"
        action={
          <Link to="/failures" search={(filter ? { filter } : {}) as never}>
            All failures
          </Link>
        }
      >
        Choose a longer range above to find when it was last seen.
      </Empty>
    );
  return (
    <div className={page.page}>
      <Loaded query={query} rows={10}>
        {(failure) => <Told failure={failure} filter={filter} />}
      </Loaded>
    </div>
  );
}

function Told({ failure, filter }: { failure: FailureDetail; filter: string }) {
  const within = join([...(filter ? [filter] : []), clause("signature", "=", failure.signature)]) as string;
  return (
    <>
      <PageHead
        title={
          <span className={css.head}>
            <Tooltip label="All failures">
              <ActionIcon
                component={Link}
                to="/failures"
                search={(filter ? { filter } : {}) as never}
                aria-label="All failures"
              >
                <IconArrowLeft size={16} />
              </ActionIcon>
            </Tooltip>
            <Pill tone="bad">{failure.error_class}</Pill>
            {failure.is_new && <Pill tone="warn">new</Pill>}
            <span>{failure.title}</span>
          </span>
        }
      >
        <Button
          component={Link}
          to="/alerts"
          search={{ tab: "rules", measure: "errors", filter: within } as never}
          variant="default"
          leftSection={<IconBell size={14} />}
        >
          Alert on it
        </Button>
        <Button
          component={Link}
          to="/traces"
          search={{ filter: within } as never}
          leftSection={<IconListTree size={14} />}
        >
          All its traces
        </Button>
      </PageHead>
      <dl className={css.facts}>
        <Fact label="Times">{integer(failure.count)}</Fact>
        <Fact label="Traces">{integer(failure.traces)}</Fact>
        <Fact label="Users">{integer(failure.users)}</Fact>
        <Fact label="First seen">
          <Time value={failure.first_seen} />
        </Fact>
        <Fact label="Last seen">
          <Time value={failure.last_seen} />
        </Fact>
        <Fact label="Signature">
          <span className="mono">{failure.signature}</span>
        </Fact>
      </dl>
      <Course failure={failure} within={within} />
      <Panel title="Latest error">
        <pre className={css.message}>{failure.example.message || "No message was given."}</pre>
        <Link
          to="/traces/$traceId"
          params={{ traceId: failure.example.trace_id }}
          search={{ span: failure.example.span_id } as never}
        >
          Open the span that failed
        </Link>
      </Panel>
      <div className={css.breakdown}>
        {DIMENSIONS.map(([dimension, title]) => (
          <Breakdown key={dimension} failure={failure} dimension={dimension} title={title} within={within} />
        ))}
      </div>
      <Examples within={within} />
    </>
  );
}

function Course({ failure, within }: { failure: FailureDetail; within: string }) {
  const scope = useScope();
  const navigate = useNavigate();
  const spec: ChartSpec = useMemo(() => {
    const bounds = scope.bounds();
    const range = { from: Date.parse(bounds.from), to: Date.parse(bounds.to) };
    const step = failure.interval_s * 1000;
    const at = new Map(failure.series.map(([time, count]) => [Date.parse(time), count]));
    const search = (from: number, to: number) => ({
      range: undefined,
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
    });
    return {
      ...range,
      intervalMs: step,
      format: integer,
      whole: true,
      series: [{ name: "times", color: "--s5", kind: "bar", points: filled(at, step, range, 0) }],
      onZoom: (from, to) => scope.set(search(from, to)),
      onPick: (time) =>
        void navigate({
          to: "/traces",
          search: ((before: object) => ({ ...before, ...search(time, time + step), filter: within })) as never,
        }),
    };
  }, [failure, scope, navigate, within]);
  return (
    <Panel title="Trend" note="drag to zoom, click for the traces">
      <Chart spec={spec} height={160} label="How often it happened" />
    </Panel>
  );
}

function Breakdown({
  failure,
  dimension,
  title,
  within,
}: {
  failure: FailureDetail;
  dimension: string;
  title: string;
  within: string;
}) {
  const shares = (failure.breakdown[dimension] ?? []).filter((one) => one.value !== "");
  if (shares.length === 0) return null;
  return (
    <Panel title={title} note={shares.length > 1 ? integer(shares.length) : undefined} flush>
      <table className={ui.table}>
        <tbody>
          {shares.slice(0, 6).map((one) => (
            <tr key={one.value}>
              <td className={css.value}>
                <i style={{ width: `${(one.count / failure.count) * 100}%` }} />
                <Link
                  to="/traces"
                  search={{ filter: join([within, clause(dimension, "=", one.value)]) } as never}
                  title={one.value}
                >
                  {one.value}
                </Link>
              </td>
              <td data-right>{integer(one.count)}</td>
              <td data-right className="soft">
                {percent(one.count / failure.count)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Examples({ within }: { within: string }) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const query = useQuery({
    queryKey: [project, "failure-traces", within, scope.key, "live"],
    queryFn: () => take(api.GET("/api/v1/traces", { params: { query: { ...scope.asked(within), limit: EXAMPLES } } })),
    placeholderData: kept,
  });
  return (
    <Panel
      title="Newest traces"
      flush
      actions={
        <Link to="/traces" search={{ filter: within } as never}>
          View all
        </Link>
      }
    >
      <Loaded query={query} rows={5}>
        {({ data }) => (
          <div className={ui.tableWrap}>
            <table className={ui.table}>
              <thead>
                <tr>
                  <th>Trace</th>
                  <th>Input</th>
                  <th>User</th>
                  <th data-right>Latency</th>
                  <th data-right>Started</th>
                </tr>
              </thead>
              <tbody>
                {data.map((trace) => (
                  <tr key={trace.trace_id}>
                    <td>
                      <Link to="/traces/$traceId" params={{ traceId: trace.trace_id }}>
                        {trace.name}
                      </Link>
                    </td>
                    <td className={`${css.input} truncate soft`}>{preview(trace.input_preview, "input")}</td>
                    <td className="soft">{trace.user_id || "–"}</td>
                    <td data-right>{duration(trace.duration_ms)}</td>
                    <td data-right className="soft">
                      <Time value={trace.start_time} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
    </Panel>
  );
}
