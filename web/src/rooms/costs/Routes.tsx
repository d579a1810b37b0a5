/** Routes: which targets serve a model name, in which order or by which weights. */
import { ActionIcon, Button, Modal, NumberInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { IconArrowRight, IconPencil, IconPlus, IconRoute, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, Fragment, useState } from "react";
import { take, useApi } from "../../api/client";
import type { Connection, Route, Target } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { useConnections } from "./Providers";

export function Routes() {
  const { api, project } = useApi();
  const { may } = useHere();
  const routes = useQuery({ queryKey: [project, "routes"], queryFn: () => take(api.GET("/api/v1/routes")) });
  const connections = useConnections();
  const [editing, edit] = useState<Route | "new" | null>(null);
  const [removing, remove] = useState<Route | null>(null);
  const queries = useQueryClient();
  const deletion = useMutation({
    mutationFn: (route: Route) =>
      take(api.DELETE("/api/v1/routes/{route_id}", { params: { path: { route_id: route.id } } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project] });
      remove(null);
    },
  });
  const list = connections.data?.data ?? [];
  const nameOf = (id: string) => list.find((one) => one.id === id)?.name ?? id;
  const write = may("costs.write");
  return (
    <div className={page.page}>
      <PageHead title="Routes" note="A model name of your own, fallbacks, or a split between providers.">
        {write && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => edit("new")} disabled={list.length === 0}>
            New route
          </Button>
        )}
      </PageHead>
      <Panel flush>
        <Loaded query={routes}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty icon={IconRoute} title="No routes, and none needed">
                Without a route a model goes to the connection that claims its name. A route adds fallbacks (when the
                first fails, the next answers), weights, or a name such as <span className="mono">fast</span>.
              </Empty>
            ) : (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>Model asked</th>
                      <th>Goes to</th>
                      <th>Strategy</th>
                      <th data-right>Retries</th>
                      <th>Changed</th>
                      <th aria-label="Actions" />
                    </tr>
                  </thead>
                  <tbody>
                    {data.map((route) => (
                      <tr key={route.id}>
                        <td className="mono">{route.pattern}</td>
                        <td data-wrap>
                          <span className={page.targets}>
                            {route.targets.map((target, place) => (
                              <Fragment key={`${target.connection_id}${target.model}`}>
                                {place > 0 && route.strategy === "fallback" && (
                                  <IconArrowRight size={13} className="muted" />
                                )}
                                <Pill>
                                  {nameOf(target.connection_id)}
                                  {target.model && <span className="muted">/ {target.model}</span>}
                                  {route.strategy === "weighted" && <b className="num">×{target.weight}</b>}
                                </Pill>
                              </Fragment>
                            ))}
                          </span>
                        </td>
                        <td>{route.strategy}</td>
                        <td data-right>{route.retries}</td>
                        <td className="soft">
                          <Time value={route.updated_at} />
                        </td>
                        <td data-right>
                          {write && (
                            <>
                              <ActionIcon aria-label={`Edit ${route.pattern}`} onClick={() => edit(route)}>
                                <IconPencil size={15} />
                              </ActionIcon>
                              <ActionIcon aria-label={`Delete ${route.pattern}`} onClick={() => remove(route)}>
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
        <RouteDialog route={editing === "new" ? undefined : editing} connections={list} close={() => edit(null)} />
      )}
      <Confirm
        opened={removing !== null}
        close={() => remove(null)}
        title={`Delete the route ${removing?.pattern ?? ""}?`}
        action="Delete route"
        run={() => removing && deletion.mutate(removing)}
        pending={deletion.isPending}
        error={deletion.error}
      >
        From the next call on, this name goes to the connection that claims it, if any does.
      </Confirm>
    </div>
  );
}

function RouteDialog({
  route,
  connections,
  close,
}: {
  route: Route | undefined;
  connections: Connection[];
  close: () => void;
}) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const first = connections[0]?.id ?? "";
  const [pattern, setPattern] = useState(route?.pattern ?? "");
  const [strategy, setStrategy] = useState<"fallback" | "weighted">(
    route?.strategy === "weighted" ? "weighted" : "fallback",
  );
  const [retries, setRetries] = useState(route?.retries ?? 2);
  const [timeouts, setTimeouts] = useState(route?.timeouts ?? { connect_s: 5, first_byte_s: 120, total_s: 600 });
  const [targets, setTargets] = useState<Required<Target>[]>(
    route?.targets.map((one) => ({
      connection_id: one.connection_id,
      model: one.model ?? "",
      weight: one.weight ?? 1,
    })) ?? [{ connection_id: first, model: "", weight: 1 }],
  );
  const save = useMutation({
    mutationFn: () => {
      const body = { pattern, targets, strategy, retries, timeouts };
      return route
        ? take(api.PATCH("/api/v1/routes/{route_id}", { params: { path: { route_id: route.id } }, body }))
        : take(api.POST("/api/v1/routes", { body }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project] });
      close();
    },
  });
  const change = (place: number, patch: Partial<Target>) =>
    setTargets(targets.map((one, at) => (at === place ? { ...one, ...patch } : one)));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={close} title={route ? `Edit ${route.pattern}` : "New route"} size={620}>
      <form onSubmit={submit} className="stack">
        <TextInput
          label="Model asked"
          description="An exact name or a glob, such as gpt-4.1* or fast."
          value={pattern}
          onChange={(event) => setPattern(event.currentTarget.value)}
          required
          data-autofocus
        />
        <div className="row">
          <SegmentedControl
            value={strategy}
            onChange={(next) => setStrategy(next === "weighted" ? "weighted" : "fallback")}
            data={[
              { value: "fallback", label: "In order, the next on failure" },
              { value: "weighted", label: "By weight" },
            ]}
          />
        </div>
        <div className="stack" style={{ gap: 6 }}>
          {targets.map((target, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: targets are edited in place and may be equal
            <div key={place} className={page.targetRow}>
              <span className="muted num">{place + 1}</span>
              <Select
                aria-label={`Connection of target ${place + 1}`}
                data={connections.map((one) => ({ value: one.id, label: one.name }))}
                value={target.connection_id}
                onChange={(next) => next && change(place, { connection_id: next })}
              />
              <TextInput
                aria-label={`Model of target ${place + 1}`}
                placeholder="model as asked"
                value={target.model}
                onChange={(event) => change(place, { model: event.currentTarget.value })}
              />
              <NumberInput
                aria-label={`Weight of target ${place + 1}`}
                min={1}
                max={1000}
                value={target.weight}
                disabled={strategy === "fallback"}
                onChange={(next) => change(place, { weight: Number(next) || 1 })}
              />
              <ActionIcon
                aria-label={`Remove target ${place + 1}`}
                disabled={targets.length === 1}
                onClick={() => setTargets(targets.filter((_, at) => at !== place))}
              >
                <IconTrash size={14} />
              </ActionIcon>
            </div>
          ))}
          <div>
            <Button
              variant="subtle"
              leftSection={<IconPlus size={14} />}
              onClick={() => setTargets([...targets, { connection_id: first, model: "", weight: 1 }])}
            >
              Add target
            </Button>
          </div>
        </div>
        <div className={page.three}>
          <NumberInput label="Retries" min={0} max={10} value={retries} onChange={(next) => setRetries(Number(next))} />
          <NumberInput
            label="First byte, seconds"
            min={1}
            value={timeouts.first_byte_s}
            onChange={(next) => setTimeouts({ ...timeouts, first_byte_s: Number(next) })}
          />
          <NumberInput
            label="In all, seconds"
            min={1}
            value={timeouts.total_s}
            onChange={(next) => setTimeouts({ ...timeouts, total_s: Number(next) })}
          />
        </div>
        {save.error && (
          <div className={page.result} data-ok="false" role="alert">
            {save.error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            Save route
          </Button>
        </div>
      </form>
    </Modal>
  );
}
