/** Alerts: what fires now and fired before, the rules that decide it, and whom they tell. */
import { ActionIcon, Button, Switch, Tooltip } from "@mantine/core";
import {
  IconBell,
  IconBellOff,
  IconMail,
  IconPencil,
  IconPlus,
  IconSend,
  IconTrash,
  IconWebhook,
} from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { Alert, AlertRule, Channel } from "../../api/types";
import type { AlertsSearch } from "../../router";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import { duration, plural } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { ChannelDialog } from "./ChannelDialog";
import { formatOf, titleOf } from "./measures";
import { RuleDialog } from "./RuleDialog";

const TABS = [
  { id: "incidents", title: "Incidents" },
  { id: "rules", title: "Rules" },
  { id: "channels", title: "Channels" },
];

export function Alerts() {
  const search = useSearch({ strict: false }) as AlertsSearch;
  const navigate = useNavigate();
  const tab = TABS.find((one) => one.id === search.tab)?.id ?? "incidents";
  const change = (next: string) =>
    void navigate({
      to: ".",
      search: ((before: object) => ({ ...before, tab: next, measure: undefined, filter: undefined })) as never,
    });
  return (
    <div className={page.page}>
      <PageHead title="Alerts" note="A rule watches a measure; when it passes its threshold, its channels are told." />
      <div className={ui.tabs} role="tablist" aria-label="Alerts">
        {TABS.map((one) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            aria-selected={one.id === tab}
            className={ui.tab}
            onClick={() => change(one.id)}
          >
            {one.title}
          </button>
        ))}
      </div>
      {tab === "incidents" && <Incidents toRules={() => change("rules")} />}
      {tab === "rules" && <Rules from={search} />}
      {tab === "channels" && <Channels />}
    </div>
  );
}

export function useChannels() {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "channels"],
    queryFn: () => take(api.GET("/api/v1/channels")),
    retry: false,
  });
}

function useRules() {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "alert-rules"],
    queryFn: () => take(api.GET("/api/v1/alert-rules")),
    retry: false,
  });
}

function Incidents({ toRules }: { toRules: () => void }) {
  const { api, project } = useApi();
  const rules = useRules();
  const query = useQuery({
    queryKey: [project, "alerts", "live"],
    queryFn: () => take(api.GET("/api/v1/alerts")),
    retry: false,
  });
  return (
    <Panel flush>
      <Loaded query={query}>
        {({ data }) =>
          data.length === 0 ? (
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
                    <th>Told</th>
                    <th data-right>Lasted</th>
                    <th data-right>Started</th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((alert) => (
                    <Incident
                      key={alert.id}
                      alert={alert}
                      rule={rules.data?.data.find((one) => one.id === alert.rule_id)}
                    />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

const MARGIN_MS = 60_000;

function Incident({ alert, rule }: { alert: Alert; rule: AlertRule | undefined }) {
  const format = formatOf(rule?.measure ?? "");
  const end = alert.resolved_at ?? new Date().toISOString();
  const from = Date.parse(alert.started_at) - (rule?.window_minutes ?? 5) * 60_000;
  return (
    <tr>
      <td>
        <Pill tone={alert.state === "firing" ? "bad" : "good"} dot>
          {alert.state}
        </Pill>
      </td>
      <td>
        <Link
          to="/traces"
          search={
            {
              ...(rule?.filter && { filter: rule.filter }),
              from: new Date(from).toISOString(),
              to: new Date(Date.parse(end) + MARGIN_MS).toISOString(),
            } as never
          }
        >
          {alert.rule_name}
        </Link>
      </td>
      <td data-right>{alert.value === null ? "–" : format(alert.value)}</td>
      <td data-right>{format(alert.threshold)}</td>
      <td>
        {alert.deliveries.length === 0 ? (
          <span className="muted">nobody</span>
        ) : (
          alert.deliveries.map((one) => (
            <Pill
              // a channel is told of the start and of the end
              key={`${one.channel}${one.at}${one.state}`}
              tone={
                one.state === "delivered" || one.state === "sent" ? "good" : one.state === "failed" ? "bad" : "warn"
              }
              title={one.last_error ?? `${plural(one.attempts, "attempt")}`}
            >
              {one.channel} {one.state}
            </Pill>
          ))
        )}
      </td>
      <td data-right className="soft">
        {duration(Date.parse(end) - Date.parse(alert.started_at))}
      </td>
      <td data-right className="soft">
        <Time value={alert.started_at} />
      </td>
    </tr>
  );
}

function Rules({ from }: { from: AlertsSearch }) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const rules = useRules();
  const [editing, edit] = useState<AlertRule | "new" | null>(from.measure ? "new" : null);
  const [removing, remove] = useState<AlertRule | null>(null);
  const refresh = () => queries.invalidateQueries({ queryKey: [project, "alert-rules"] });
  const patch = useMutation({
    mutationFn: ({ id, enabled }: { id: string; enabled: boolean }) =>
      take(api.PATCH("/api/v1/alert-rules/{rule_id}", { params: { path: { rule_id: id } }, body: { enabled } })),
    onSuccess: refresh,
  });
  const deletion = useMutation({
    mutationFn: (rule: AlertRule) =>
      take(api.DELETE("/api/v1/alert-rules/{rule_id}", { params: { path: { rule_id: rule.id } } })),
    onSuccess: async () => {
      await refresh();
      remove(null);
    },
  });
  const button = (
    <Button leftSection={<IconPlus size={14} />} onClick={() => edit("new")}>
      New rule
    </Button>
  );
  return (
    <>
      <Panel flush title="Rules" actions={button}>
        <Loaded query={rules}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty icon={IconBell} title="No rules yet" action={button}>
                For example: tell me when the error rate of production is above 5 % for five minutes.
              </Empty>
            ) : (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>On</th>
                      <th>Name</th>
                      <th>When</th>
                      <th>Of</th>
                      <th>Environment</th>
                      <th data-right>Channels</th>
                      <th aria-label="Actions" />
                    </tr>
                  </thead>
                  <tbody>
                    {data.map((rule) => (
                      <tr key={rule.id}>
                        <td>
                          <Switch
                            aria-label={`${rule.name} is on`}
                            checked={rule.enabled}
                            onChange={(event) => patch.mutate({ id: rule.id, enabled: event.currentTarget.checked })}
                          />
                        </td>
                        <td>
                          <b>{rule.name}</b>
                        </td>
                        <td>
                          {titleOf(rule.measure)} {rule.direction} {formatOf(rule.measure)(rule.threshold)}{" "}
                          <span className="muted">over {rule.window_minutes} min</span>
                        </td>
                        <td className="mono soft">{rule.filter || "all spans"}</td>
                        <td className="soft">{rule.environment || "all"}</td>
                        <td data-right>{rule.channel_ids.length}</td>
                        <td data-right>
                          <ActionIcon aria-label={`Edit ${rule.name}`} onClick={() => edit(rule)}>
                            <IconPencil size={15} />
                          </ActionIcon>
                          <ActionIcon aria-label={`Delete ${rule.name}`} onClick={() => remove(rule)}>
                            <IconTrash size={15} />
                          </ActionIcon>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Loaded>
      </Panel>
      {editing && (
        <RuleDialog
          rule={editing === "new" ? undefined : editing}
          measure={from.measure}
          filter={from.filter}
          close={() => edit(null)}
        />
      )}
      <Confirm
        opened={removing !== null}
        close={() => remove(null)}
        title={`Delete ${removing?.name ?? ""}?`}
        action="Delete rule"
        run={() => removing && deletion.mutate(removing)}
        pending={deletion.isPending}
        error={deletion.error}
      >
        It no longer watches; the incidents that it raised stay.
      </Confirm>
    </>
  );
}

function Channels() {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const channels = useChannels();
  const [creating, create] = useState(false);
  const [removing, remove] = useState<Channel | null>(null);
  const deletion = useMutation({
    mutationFn: (channel: Channel) =>
      take(api.DELETE("/api/v1/channels/{channel_id}", { params: { path: { channel_id: channel.id } } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project, "channels"] });
      remove(null);
    },
  });
  const button = (
    <Button leftSection={<IconPlus size={14} />} onClick={() => create(true)}>
      New channel
    </Button>
  );
  return (
    <>
      <Panel flush title="Channels" actions={button}>
        <Loaded query={channels}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty icon={IconSend} title="No channels yet" action={button}>
                A webhook that your chat or pager takes, or addresses that get an e-mail.
              </Empty>
            ) : (
              <table className={ui.table}>
                <tbody>
                  {data.map((channel) => (
                    <ChannelRow key={channel.id} channel={channel} remove={() => remove(channel)} />
                  ))}
                </tbody>
              </table>
            )
          }
        </Loaded>
      </Panel>
      {creating && <ChannelDialog close={() => create(false)} />}
      <Confirm
        opened={removing !== null}
        close={() => remove(null)}
        title={`Delete ${removing?.name ?? ""}?`}
        action="Delete channel"
        run={() => removing && deletion.mutate(removing)}
        pending={deletion.isPending}
        error={deletion.error}
      >
        Rules that tell it go on watching, and tell their other channels.
      </Confirm>
    </>
  );
}

function ChannelRow({ channel, remove }: { channel: Channel; remove: () => void }) {
  const { api } = useApi();
  const test = useMutation({
    mutationFn: () =>
      take(api.POST("/api/v1/channels/{channel_id}/test", { params: { path: { channel_id: channel.id } } })),
  });
  return (
    <tr>
      <td>
        <span className="row">
          {channel.kind === "email" ? <IconMail size={16} /> : <IconWebhook size={16} />}
          <b>{channel.name}</b>
        </span>
      </td>
      <td className="mono soft truncate">{channel.kind === "email" ? channel.addresses.join(", ") : channel.url}</td>
      <td>
        {test.data && (
          <Pill tone={test.data.ok ? "good" : "bad"} title={test.data.message}>
            {test.data.ok ? "arrived" : test.data.message || "failed"}
          </Pill>
        )}
        {test.error && <Pill tone="bad">{test.error.message}</Pill>}
      </td>
      <td data-right>
        <Button variant="default" onClick={() => test.mutate()} loading={test.isPending}>
          Test
        </Button>{" "}
        <Tooltip label="Delete">
          <ActionIcon aria-label={`Delete ${channel.name}`} onClick={remove}>
            <IconTrash size={15} />
          </ActionIcon>
        </Tooltip>
      </td>
    </tr>
  );
}
