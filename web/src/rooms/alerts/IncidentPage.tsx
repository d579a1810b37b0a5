/** One alert: the measure before and while it fired, who was told of it, and the traces behind. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconListTree } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo } from "react";
import { take, useApi } from "../../api/client";
import type { Alert, AlertRule, Delivery } from "../../api/types";
import { EnvironmentTag, Fact, PageHead, Panel, Pill, Time, type Tone } from "../../ui/atoms";
import { Chart, type ChartSpec } from "../../ui/Chart";
import { filled } from "../../ui/chart/fill";
import { duration, integer } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./alerts.module.css";
import { formatOf, titleOf } from "./measures";
import { EVERY_MS, useRules } from "./queries";

const MINUTE = 60_000;
const TONES: Record<string, Tone> = { delivered: "good", failed: "bad", pending: "warn" };

export function IncidentPage() {
  const { alertId } = useParams({ strict: false }) as { alertId: string };
  const { api, project } = useApi();
  const rules = useRules();
  const query = useQuery({
    queryKey: [project, "alert", alertId, "live"],
    queryFn: () => take(api.GET("/api/v1/alerts/{alert_id}", { params: { path: { alert_id: alertId } } })),
    refetchInterval: EVERY_MS,
  });
  return (
    <div className={page.page}>
      <Loaded query={query} rows={10}>
        {(alert) => <Told alert={alert} rule={rules.data?.data.find((one) => one.id === alert.rule_id)} />}
      </Loaded>
    </div>
  );
}

/** The time whose calls decided: from the window before the start to the end. */
function spanOf(alert: Alert, rule: AlertRule | undefined): { from: number; to: number } {
  return {
    from: Date.parse(alert.started_at) - (rule?.window_minutes ?? 5) * MINUTE,
    to: alert.resolved_at ? Date.parse(alert.resolved_at) : Date.now(),
  };
}

function Told({ alert, rule }: { alert: Alert; rule: AlertRule | undefined }) {
  const format = formatOf(rule?.measure ?? "");
  const { from, to } = spanOf(alert, rule);
  const failed = rule && /^error/.test(rule.measure) ? 'status = "error"' : "";
  const filter = [rule?.filter, failed]
    .filter(Boolean)
    .map((one) => (/\bor\b/i.test(one as string) ? `(${one})` : one))
    .join(" and ");
  return (
    <>
      <PageHead
        title={
          <span className="row">
            <Tooltip label="All incidents">
              <ActionIcon component={Link} to="/alerts" aria-label="All incidents">
                <IconArrowLeft size={16} />
              </ActionIcon>
            </Tooltip>
            <Pill tone={alert.state === "firing" ? "bad" : "good"} dot>
              {alert.state}
            </Pill>
            <span>{alert.rule_name}</span>
          </span>
        }
      >
        {rule && (
          <Button
            component={Link}
            to="/traces"
            search={
              {
                env: rule.environment || undefined,
                range: undefined,
                from: new Date(from).toISOString(),
                to: new Date(to).toISOString(),
                filter: filter || undefined,
              } as never
            }
            leftSection={<IconListTree size={14} />}
          >
            Traces behind it
          </Button>
        )}
      </PageHead>
      <dl className={css.facts}>
        <Fact label={rule ? titleOf(rule.measure) : "Value"}>{alert.value === null ? "–" : format(alert.value)}</Fact>
        <Fact label="Threshold">
          {rule?.direction} {format(alert.threshold)}
        </Fact>
        <Fact label="Started">
          <Time value={alert.started_at} />
        </Fact>
        <Fact label="Ended">{alert.resolved_at ? <Time value={alert.resolved_at} /> : "not yet"}</Fact>
        <Fact label="Lasted">
          {duration((alert.resolved_at ? Date.parse(alert.resolved_at) : Date.now()) - Date.parse(alert.started_at))}
        </Fact>
        {rule && (
          <>
            <Fact label="Window">{duration(rule.window_minutes * MINUTE)}</Fact>
            <Fact label="Environment">{rule.environment ? <EnvironmentTag name={rule.environment} /> : "all"}</Fact>
            <Fact label="Of">
              <span className="mono">{rule.filter || "all spans"}</span>
            </Fact>
          </>
        )}
      </dl>
      {rule ? <Course alert={alert} rule={rule} /> : <p className="muted">The rule was deleted since.</p>}
      <Panel title="Deliveries" flush>
        {alert.deliveries.length === 0 ? (
          <p className={css.none}>Nobody: the rule has no channels.</p>
        ) : (
          <div className={ui.tableWrap}>
            <table className={ui.table}>
              <thead>
                <tr>
                  <th>Channel</th>
                  <th>Event</th>
                  <th>State</th>
                  <th data-right>Attempts</th>
                  <th>Last error</th>
                  <th data-right>When</th>
                </tr>
              </thead>
              <tbody>
                {alert.deliveries.map((one) => (
                  <Line key={`${one.channel} ${one.event}`} delivery={one} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}

function Line({ delivery }: { delivery: Delivery }) {
  return (
    <tr>
      <td>
        <b>{delivery.channel}</b>
      </td>
      <td className="soft">{delivery.event === "firing" ? "fired" : "resolved"}</td>
      <td>
        <Pill tone={TONES[delivery.state] ?? "quiet"}>
          {delivery.state === "pending" && delivery.attempts > 0 ? "will be tried again" : delivery.state}
        </Pill>
      </td>
      <td data-right>{integer(delivery.attempts)}</td>
      <td className="soft" data-wrap>
        {delivery.last_error ?? ""}
      </td>
      <td data-right className="soft">
        <Time value={delivery.at} />
      </td>
    </tr>
  );
}

/** The measure from well before the alert to its end, by buckets, with the threshold. */
function Course({ alert, rule }: { alert: Alert; rule: AlertRule }) {
  const { api, project } = useApi();
  const navigate = useNavigate();
  const query = useQuery({
    queryKey: [project, "alert-course", alert.id, "live"],
    queryFn: async () => {
      const { from, to } = spanOf(alert, rule);
      const range = { from: from - Math.max(to - from, 30 * MINUTE), to };
      const metrics = await take(
        api.GET("/api/v1/metrics", {
          params: {
            query: {
              measures: rule.measure,
              interval: "auto",
              from: new Date(range.from).toISOString(),
              to: new Date(range.to).toISOString(),
              ...(rule.filter && { filter: rule.filter }),
              ...(rule.environment && { environment: rule.environment }),
            },
          },
        }),
      );
      return { metrics, range };
    },
  });
  const spec: ChartSpec | null = useMemo(() => {
    if (!query.data) return null;
    const { metrics, range } = query.data;
    const step = (metrics.interval_s ?? 60) * 1000;
    const at = new Map(
      metrics.rows.map((row) => {
        const value = row[rule.measure];
        return [Date.parse(String(row.time)), value === null || value === undefined ? null : Number(value)];
      }),
    );
    return {
      ...range,
      intervalMs: step,
      format: formatOf(rule.measure),
      series: [
        { name: titleOf(rule.measure), color: "--s1", points: filled(at, step, range, null) },
        {
          name: "threshold",
          color: "--s5",
          kind: "limit",
          points: [
            [range.from, alert.threshold],
            [range.to, alert.threshold],
          ],
        },
      ],
      onPick: (time) =>
        void navigate({
          to: "/traces",
          search: ((before: object) => ({
            ...before,
            range: undefined,
            from: new Date(time).toISOString(),
            to: new Date(time + step).toISOString(),
            filter: rule.filter || undefined,
          })) as never,
        }),
    };
  }, [query.data, rule, alert, navigate]);
  return (
    <Panel title={titleOf(rule.measure)} note="each bucket on its own; the rule looks at its whole window">
      <div style={{ height: 190 }}>{spec && <Chart spec={spec} height={190} label={titleOf(rule.measure)} />}</div>
    </Panel>
  );
}
