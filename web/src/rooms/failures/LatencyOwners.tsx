/** Whose latency it was: steps by name, with their part of the critical paths of the newest traces. */
import { IconRoute2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { take, useApi, useKept } from "../../api/client";
import { clause, join } from "../../shell/filter/filter";
import { useScope } from "../../shell/scope";
import { KindIcon, Panel } from "../../ui/atoms";
import { duration, integer, percent } from "../../ui/format";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./failures.module.css";

export function LatencyOwners({ filter }: { filter: string }) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const query = useQuery({
    queryKey: [project, "latency-owners", scope.key, filter, "live"],
    queryFn: () => take(api.GET("/api/v1/latency/owners", { params: { query: scope.asked(filter) } })),
    placeholderData: kept,
  });
  return (
    <Panel flush>
      <Loaded query={query} rows={8}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty icon={IconRoute2} title="No traces in this range">
              The steps on the critical path of traces show here, the one that takes most of it first.
            </Empty>
          ) : (
            <table className={ui.table}>
              <thead>
                <tr>
                  <th>Step</th>
                  <th style={{ width: "40%" }}>Share of the critical path</th>
                  <th data-right>Own time a trace</th>
                  <th data-right>Own time in all</th>
                  <th data-right>Traces</th>
                </tr>
              </thead>
              <tbody>
                {data.map((row) => (
                  <tr key={`${row.kind} ${row.name}`}>
                    <td>
                      <span className="row">
                        <KindIcon kind={row.kind} />
                        <Link
                          to="/traces"
                          search={{ filter: join([filter, clause("name", "=", row.name)].filter(Boolean)) } as never}
                        >
                          {row.name}
                        </Link>
                      </span>
                    </td>
                    <td>
                      <span className={css.share}>
                        <i style={{ width: `${Math.max(0.5, row.share * 80)}%` }} />
                        <b>{percent(row.share)}</b>
                      </span>
                    </td>
                    <td data-right>{duration(row.own_ms_per_trace)}</td>
                    <td data-right>{duration(row.own_ms)}</td>
                    <td data-right>{integer(row.traces)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Loaded>
    </Panel>
  );
}
