/** The rules: what each watches, whether it is on, and whom it tells. */
import { ActionIcon, Button, Switch } from "@mantine/core";
import { IconBell, IconPencil, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { AlertRule } from "../../api/types";
import type { AlertsSearch } from "../../router";
import { useHere } from "../../shell/sessionContext";
import { Panel } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import { duration } from "../../ui/format";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { formatOf, titleOf } from "./measures";
import { useRules } from "./queries";
import { RuleDialog } from "./RuleDialog";

export function Rules({ from }: { from: AlertsSearch }) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const { may } = useHere();
  const mayWrite = may("projects.write");
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
  const button = mayWrite && (
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
                            disabled={!mayWrite}
                            onChange={(event) => patch.mutate({ id: rule.id, enabled: event.currentTarget.checked })}
                          />
                        </td>
                        <td>
                          <b>{rule.name}</b>
                        </td>
                        <td>
                          {titleOf(rule.measure)} {rule.direction} {formatOf(rule.measure)(rule.threshold)}{" "}
                          <span className="muted">over {duration(rule.window_minutes * 60_000)}</span>
                        </td>
                        <td className="mono soft">{rule.filter || "all spans"}</td>
                        <td className="soft">{rule.environment || "all"}</td>
                        <td data-right>{rule.channel_ids.length}</td>
                        <td data-right>
                          {mayWrite && (
                            <>
                              <ActionIcon aria-label={`Edit ${rule.name}`} onClick={() => edit(rule)}>
                                <IconPencil size={15} />
                              </ActionIcon>
                              <ActionIcon aria-label={`Delete ${rule.name}`} onClick={() => remove(rule)}>
                                <IconTrash size={15} />
                              </ActionIcon>
                            </>
                          )}
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
