/** How the project is doing now: health, traffic, latency, tokens, cost, what failed, what came last. */
import { IconActivity } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useMemo } from "react";
import { take, useApi, useKept } from "../../api/client";
import { clause, join } from "../../shell/filter/filter";
import { useScope } from "../../shell/scope";
import { useHere } from "../../shell/sessionContext";
import { Money, PageHead, Panel, Pill, StatusDot } from "../../ui/atoms";
import { Chart, type ChartSpec } from "../../ui/Chart";
import { FirstCall } from "../../ui/FirstCall";
import { compact, duration, integer, percent, uptime, usd } from "../../ui/format";
import { Bone, Empty, Loaded } from "../../ui/states";
import css from "./home.module.css";
import { Models, Recent, Scores } from "./Lower";
import { maybe, num, perModel, perStatus, type Row, series, text, timeOf, total } from "./series";

const MEASURES =
  "calls,error_rate,latency_p50,latency_p95,latency_p99,ttft_p50,ttft_p95,input_tokens,output_tokens,total_tokens,cost_usd";

/** Latency and errors are told of model calls: an agent waits for its calls, and would count them twice. */
const OF_CALLS = 'kind in ("llm", "embedding")';

function useMetrics(measures: string, dimensions: string, interval: "auto" | "none", filter = OF_CALLS) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  return useQuery({
    queryKey: [project, "metrics", measures, dimensions, interval, filter, scope.key, "live"],
    queryFn: async () => {
      const asked = scope.asked(filter);
      const metrics = await take(
        api.GET("/api/v1/metrics", {
          params: {
            query: {
              measures,
              interval,
              ...asked,
              ...(dimensions && { dimensions }),
            },
          },
        }),
      );
      return { rows: metrics.rows as Row[], intervalMs: (metrics.interval_s ?? 0) * 1000, bounds: asked };
    },
    placeholderData: kept,
  });
}

export function Home() {
  const { project } = useHere();
  return (
    <div className={css.page}>
      <PageHead title={project.name} note={<Counts />}>
        <HealthStrip />
      </PageHead>
      <Overview />
    </div>
  );
}

function Counts() {
  const { api, project } = useApi();
  const { data } = useQuery({
    queryKey: [project, "count", "live"],
    queryFn: () => take(api.GET("/api/v1/metrics/count")),
  });
  if (!data) return <Bone width={140} />;
  return (
    <span className="num">
      {integer(data.traces)} traces, {integer(data.spans)} spans kept
    </span>
  );
}

function HealthStrip() {
  const { api, project } = useApi();
  const kept = useKept();
  const { data, error } = useQuery({
    queryKey: [project, "server", "live"],
    queryFn: () => take(api.GET("/api/v1/server")),
    placeholderData: kept,
  });
  if (error && !data) return <Pill tone="bad">server unreachable</Pill>;
  if (!data) return <Bone width={260} height={20} />;
  const accounting = data.accounting;
  const lost = accounting ? accounting.dropped + accounting.rejected : 0;
  return (
    <div className={css.health}>
      {Object.entries(data.stores).map(([name, state]) => (
        <span key={name} className={css.part} title={`${name}: ${state}`}>
          <StatusDot tone={state === "ok" ? "good" : "bad"} label={`${name}: ${state}`} />
          {name}
        </span>
      ))}
      <span
        className={css.part}
        title={data.worker.message || `worker ${data.worker.state}, ${data.worker.restarts} restarts`}
      >
        <StatusDot tone={["ready", "apart"].includes(data.worker.state) ? "good" : "bad"} label={data.worker.state} />
        worker
      </span>
      {accounting && (
        <span
          className={css.accounting}
          title={`accepted ${accounting.accepted}, stored ${accounting.stored}, rejected ${accounting.rejected}, dropped ${accounting.dropped}`}
        >
          <b>{compact(accounting.stored)}</b> stored
          {accounting.pending > 0 && (
            <>
              {" "}
              · <b>{compact(accounting.pending)}</b> pending
            </>
          )}
          {" · "}
          <span data-lost={lost > 0}>
            <b>{compact(lost)}</b> lost
          </span>
        </span>
      )}
      <span className={css.accounting} title={`version ${data.version}`}>
        up {uptime(data.uptime_s)}
      </span>
    </div>
  );
}

function Overview() {
  const all = useMetrics(MEASURES, "", "none");
  const any = useMetrics("count", "", "none", "");
  const over = useMetrics(MEASURES, "", "auto");
  const byStatus = useMetrics("calls", "status", "auto");
  const byModel = useMetrics("calls,cost_usd,total_tokens", "model", "auto");
  const models = useMetrics("calls,error_rate,latency_p50,latency_p95,total_tokens,cost_usd", "model", "none");
  const scope = useScope();
  const zoom = useMemo(
    () => (from: number, to: number) =>
      scope.set({ range: undefined, from: new Date(from).toISOString(), to: new Date(to).toISOString() }),
    [scope],
  );
  const navigate = useNavigate();
  const toTraces = useCallback(
    (from: number, to: number, filter: string) =>
      void navigate({
        to: "/traces",
        search: ((before: { project?: string; env?: string }) => ({
          project: before.project,
          env: before.env,
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          filter,
        })) as never,
      }),
    [navigate],
  );
  const specs = useMemo(() => {
    if (!over.data || !byStatus.data || !byModel.data) return null;
    const rows = over.data.rows;
    const step = over.data.intervalMs;
    /** A click leads to the calls of the bucket, those alone that the clause under the pointer names. */
    const pick = (clauseOf: (place: number) => string | undefined) => (time: number, place: number | null) =>
      toTraces(time, time + step, join([OF_CALLS, (place !== null && clauseOf(place)) || ""].filter(Boolean)) ?? "");
    const shared = {
      from: timeOf(over.data.bounds.from),
      to: timeOf(over.data.bounds.to),
      intervalMs: step,
      onZoom: zoom,
      onPick: pick(() => undefined),
    };
    const costs = perModel(byModel.data, "cost_usd", shared);
    const failed = clause("status", "=", "error");
    const one = (name: string, measure: string, color: string, kind: "line" | "area" | "bar" = "line") => ({
      name,
      color,
      kind,
      points: series(rows, measure, step, shared.from, shared.to, kind === "bar"),
    });
    return {
      calls: {
        ...shared,
        series: perStatus(byStatus.data, shared),
        format: compact,
        whole: true,
        stack: true,
        onPick: pick((place) => (place === 1 ? failed : undefined)),
      },
      errors: {
        ...shared,
        series: [one("errors", "error_rate", "--s5", "area")],
        format: percent,
        onPick: pick(() => failed),
      },
      latency: {
        ...shared,
        series: [
          one("p50", "latency_p50", "--s1"),
          one("p95", "latency_p95", "--s2"),
          one("p99", "latency_p99", "--s5"),
        ],
        format: duration,
      },
      ttft: { ...shared, series: [one("p50", "ttft_p50", "--s3"), one("p95", "ttft_p95", "--s4")], format: duration },
      tokens: {
        ...shared,
        series: [one("input", "input_tokens", "--s1", "bar"), one("output", "output_tokens", "--s2", "bar")],
        format: compact,
        whole: true,
        stack: true,
      },
      cost: {
        ...shared,
        series: costs,
        format: usd,
        stack: true,
        onPick: pick((place) => {
          const model = costs[place]?.model;
          return model && clause("model", "=", model);
        }),
      },
    } satisfies Record<string, ChartSpec>;
  }, [over.data, byStatus.data, byModel.data, zoom, toTraces]);
  if (all.error && !all.data) return <Loaded query={all}>{() => null}</Loaded>;
  const sums = all.data?.rows[0];
  const none = any.data !== undefined && total(any.data.rows, "count") === 0;
  if (none)
    return (
      <Panel>
        <Empty icon={IconActivity} title="Quiet so far in this range">
          <p>Point any client at this server. The first call appears here within a second.</p>
          <FirstCall />
        </Empty>
      </Panel>
    );
  return (
    <>
      <div className={css.stats}>
        <Stat label="Calls" value={sums && compact(num(sums, "calls"))} />
        <Stat
          label="Error rate"
          value={sums && percent(num(sums, "error_rate"))}
          tone={sums && num(sums, "error_rate") > 0.05 ? "bad" : undefined}
        />
        <Stat
          label="Latency"
          value={sums && duration(num(sums, "latency_p50"))}
          note={sums && `p95 ${duration(num(sums, "latency_p95"))}`}
        />
        <Stat
          label="First token"
          value={sums && duration(maybe(sums, "ttft_p50"))}
          note={sums && `p95 ${duration(maybe(sums, "ttft_p95"))}`}
        />
        <Stat
          label="Tokens"
          value={sums && compact(num(sums, "total_tokens"))}
          note={sums && `${compact(num(sums, "output_tokens"))} out`}
        />
        <Stat label="Cost" value={sums && <Money value={text(sums, "cost_usd")} short />} note="known prices" />
      </div>
      <div className={css.charts}>
        <Tile title="Calls" note="by status" spec={specs?.calls} />
        <Tile title="Latency" note="p50, p95, p99" spec={specs?.latency} />
        <Tile title="Cost" spec={specs?.cost} />
        <Tile title="Error rate" spec={specs?.errors} />
        <Tile title="Time to first token" note="p50, p95" spec={specs?.ttft} />
        <Tile title="Tokens" note="input, output" spec={specs?.tokens} />
      </div>
      <div className={css.lower}>
        <div className="stack">
          <Panel title="Top models" flush>
            <Loaded query={models} rows={5}>
              {(data) => <Models rows={data.rows} />}
            </Loaded>
          </Panel>
          <Scores />
        </div>
        <Recent title="Recent errors" errors />
        <Recent title="Recent traces" />
      </div>
    </>
  );
}

function Stat({ label, value, note, tone }: { label: string; value: ReactNode; note?: ReactNode; tone?: "bad" }) {
  return (
    <div className={css.stat} data-tone={tone}>
      <span>{label}</span>
      <b className="num">{value ?? <Bone width={64} height={18} />}</b>
      <small className="num">{note}</small>
    </div>
  );
}

function Tile({ title, note, spec }: { title: string; note?: string; spec: ChartSpec | undefined }) {
  return (
    <Panel
      title={title}
      note={note}
      actions={
        spec &&
        spec.series.length > 1 && (
          <span className={css.legend}>
            {spec.series.slice(0, 3).map((one) => (
              <span key={one.name}>
                <i style={{ background: `var(${one.color})` }} />
                {one.name}
              </span>
            ))}
          </span>
        )
      }
    >
      {spec ? <Chart spec={spec} height={164} label={title} /> : <Bone width="100%" height={164} />}
    </Panel>
  );
}
