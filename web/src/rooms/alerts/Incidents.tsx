/** Every time that a rule was breached, the newest first. */
import { Button } from "@mantine/core";
import { IconBellOff, IconPlus } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { take, useApi } from "../../api/client";
import type { Alert, AlertRule } from "../../api/types";
import { Panel, Pill, Time } from "../../ui/atoms";
import { duration, integer, plural } from "../../ui/format";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { formatOf } from "./measures";
import { EVERY_MS, useRules } from "./queries";

export function Incidents({ toRules }: { toRules: () => void }) {
  const { api, project } = useApi();
  const rules = useRules();
  const query = useInfiniteQuery({
    queryKey: [project, "alerts", "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(api.GET("/api/v1/alerts", { params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } } })),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchInterval: EVERY_MS,
  });
  const alerts = query.data?.pages.flatMap((one) => one.data) ?? [];
  return (
    <Panel flush>
      <Loaded query={query}>
        {() =>
          alerts.length === 0 ? (
            <Empty
              icon={IconBellOff}
              title="No alert has fired"
              action={
                <Button leftSection={<IconPlus size={14} />} onClick={toRules}>
                  {rules.data?.data.length ? "See the rules" : "Make a rule"}
                </Button>
              }
            >
              Good news, or no rule watches yet.
            </Empty>
          ) : (
            <div className={ui.tableWrap}>
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>State</th>
                    <th>Rule</th>
                    <th data-right>Value</th>
                    <th data-right>Threshold</th>
                    <th>Deliveries</th>
                    <th data-right>Lasted</th>
                    <th data-right>Started</th>
                  </tr>
                </thead>
                <tbody>
                  {alerts.map((alert) => (
                    <Line
                      key={alert.id}
                      alert={alert}
                      rule={rules.data?.data.find((one) => one.id === alert.rule_id)}
                    />
                  ))}
                </tbody>
              </table>
              {query.hasNextPage && (
                <Button variant="subtle" onClick={() => void query.fetchNextPage()}>
                  More
                </Button>
              )}
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

function Line({ alert, rule }: { alert: Alert; rule: AlertRule | undefined }) {
  const format = formatOf(rule?.measure ?? "");
  return (
    <tr>
      <td>
        <Pill tone={alert.state === "firing" ? "bad" : "good"} dot>
          {alert.state}
        </Pill>
      </td>
      <td>
        <Link to="/alerts/$alertId" params={{ alertId: alert.id }}>
          {alert.rule_name}
        </Link>
      </td>
      <td data-right>{alert.value === null ? "–" : format(alert.value)}</td>
      <td data-right>{format(alert.threshold)}</td>
      <td>
        <Told alert={alert} />
      </td>
      <td data-right className="soft">
        {duration(Date.parse(alert.resolved_at ?? new Date().toISOString()) - Date.parse(alert.started_at))}
      </td>
      <td data-right className="soft">
        <Time value={alert.started_at} />
      </td>
    </tr>
  );
}

function Told({ alert }: { alert: Alert }) {
  if (alert.deliveries.length === 0) return <span className="muted">nobody</span>;
  const done = alert.deliveries.filter((one) => one.state === "delivered").length;
  if (done === alert.deliveries.length) return <Pill tone="good">{plural(done, "message")} delivered</Pill>;
  const failed = alert.deliveries.some((one) => one.state === "failed");
  return (
    <Pill tone={failed ? "bad" : "warn"}>
      {integer(done)} of {plural(alert.deliveries.length, "message")} delivered
    </Pill>
  );
}
