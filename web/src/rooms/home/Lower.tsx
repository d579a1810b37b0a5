/** The lists below the charts: models, what failed and came last, what scores say. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { take, useApi, useKept } from "../../api/client";
import { clause } from "../../shell/filter/filter";
import { useScope } from "../../shell/scope";
import { Money, Panel, StatusDot, Time } from "../../ui/atoms";
import { compact, duration, integer, percent } from "../../ui/format";
import { preview } from "../../ui/preview";
import { Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./home.module.css";
import { maybe, num, type Row, text } from "./series";

export function Models({ rows }: { rows: Row[] }) {
  const sorted = rows
    .filter((row) => text(row, "model"))
    .sort((one, other) => num(other, "calls") - num(one, "calls"))
    .slice(0, 8);
  const most = Math.max(1, ...sorted.map((row) => num(row, "calls")));
  return (
    <table className={`${ui.table} ${css.models}`}>
      <thead>
        <tr>
          <th>Model</th>
          <th data-right>Calls</th>
          <th data-right>Errors</th>
          <th data-right>p95</th>
          <th data-right>Cost</th>
        </tr>
      </thead>
      <tbody>
        {sorted.map((row) => (
          <tr key={text(row, "model")}>
            <td className={css.model}>
              <i style={{ width: `${(num(row, "calls") / most) * 100}%` }} />
              <Link to="/traces" search={{ filter: clause("model", "=", text(row, "model") ?? "") } as never}>
                {text(row, "model")}
              </Link>
            </td>
            <td data-right>{compact(num(row, "calls"))}</td>
            <td data-right>{percent(num(row, "error_rate"))}</td>
            <td data-right>{duration(num(row, "latency_p95"))}</td>
            <td data-right>{num(row, "total_tokens") > 0 ? <Money value={text(row, "cost_usd")} short /> : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Recent({ title, errors }: { title: string; errors?: boolean }) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const query = useQuery({
    queryKey: [project, "recent", errors, scope.key, "live"],
    queryFn: () =>
      take(
        api.GET("/api/v1/traces", {
          params: {
            query: {
              ...scope.asked(errors ? 'status = "error"' : ""),
              limit: 8,
            },
          },
        }),
      ),
    placeholderData: kept,
  });
  return (
    <Panel
      title={title}
      flush
      actions={
        <Link to="/traces" search={(errors ? { filter: 'status = "error"' } : {}) as never} className={css.all}>
          View all
        </Link>
      }
    >
      <Loaded query={query} rows={5}>
        {(page) =>
          page.data.length === 0 ? (
            <p className={css.none}>{errors ? "Nothing failed in this range." : "None in this range."}</p>
          ) : (
            <ul className={css.recent}>
              {page.data.map((trace) => (
                <li key={trace.trace_id}>
                  <Link to="/traces/$traceId" params={{ traceId: trace.trace_id }}>
                    <StatusDot tone={trace.status === "error" ? "bad" : "good"} label={trace.status} />
                    <b className="truncate">{trace.name}</b>
                    <span className="truncate grow soft">
                      {errors ? trace.error_message || trace.error_class : preview(trace.input_preview, "input")}
                    </span>
                    <span className="num soft">{duration(trace.duration_ms)}</span>
                    <Time value={trace.start_time} className="muted" />
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  );
}

/** The mean of each score given in the range; a project without scores sees nothing of it. */
export function Scores() {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const { data } = useQuery({
    queryKey: [project, "score-means", scope.key, "live"],
    queryFn: () =>
      take(
        api.GET("/api/v1/metrics/scores", {
          params: {
            query: {
              measures: "count,avg",
              dimensions: "name",
              interval: "none",
              ...scope.bounds(),
              ...(scope.env && { environment: scope.env }),
            },
          },
        }),
      ),
    placeholderData: kept,
  });
  const rows = (data?.rows ?? []) as Row[];
  if (rows.length === 0) return null;
  return (
    <Panel
      title="Scores"
      flush
      actions={
        <Link to="/traces" search={{ columns: "name,input,output,scores,time" } as never} className={css.all}>
          View traces
        </Link>
      }
    >
      <table className={ui.table}>
        <thead>
          <tr>
            <th>Score</th>
            <th data-right>Given</th>
            <th data-right>Mean</th>
          </tr>
        </thead>
        <tbody>
          {rows
            .sort((one, other) => num(other, "count") - num(one, "count"))
            .slice(0, 8)
            .map((row) => (
              <tr key={text(row, "name")}>
                <td>{text(row, "name")}</td>
                <td data-right>{integer(num(row, "count"))}</td>
                <td data-right>{maybe(row, "avg")?.toFixed(2) ?? "–"}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </Panel>
  );
}
