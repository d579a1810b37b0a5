/** Connections to model providers: what there is, add one, test it. */
import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconCheck, IconDots, IconPencil, IconPlugConnected, IconPlus, IconTrash, IconX } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { Connection, Provider } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import { duration, plural } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import { ConnectionDialog } from "./ConnectionDialog";

export function useConnections() {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "connections"],
    queryFn: () => take(api.GET("/api/v1/connections")),
  });
}

function useProviders() {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "providers"],
    queryFn: () => take(api.GET("/api/v1/providers")),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function Providers() {
  const connections = useConnections();
  const providers = useProviders();
  const { may } = useHere();
  const [dialog, setDialog] = useState<{ provider: Provider; connection?: Connection } | null>(null);
  const catalogue = providers.data?.data ?? [];
  const providerOf = (kind: string) => catalogue.find((one) => one.kind === kind);
  return (
    <div className={page.page}>
      <PageHead
        title="Providers"
        note="Where the gateway sends calls. Upstream keys are encrypted and never shown again."
      />
      <Loaded query={connections} rows={6}>
        {({ data }) =>
          data.length === 0 ? (
            <Panel>
              <Empty icon={IconPlugConnected} title="No provider is connected yet">
                Choose one below. Its models can be called through the gateway at once.
              </Empty>
            </Panel>
          ) : (
            <div className={page.cards}>
              {data.map((one) => (
                <ConnectionCard
                  key={one.id}
                  connection={one}
                  provider={providerOf(one.provider)}
                  edit={() => {
                    const provider = providerOf(one.provider);
                    if (provider) setDialog({ provider, connection: one });
                  }}
                />
              ))}
            </div>
          )
        }
      </Loaded>
      {may("costs.write") && (
        <Panel title="Connect a provider">
          <Loaded query={providers} rows={3}>
            {({ data }) => (
              <div className={page.picks}>
                {data.map((provider) => (
                  <button
                    key={provider.kind}
                    type="button"
                    className={page.pick}
                    onClick={() => setDialog({ provider })}
                  >
                    <Glyph title={provider.title} />
                    <span className="grow truncate">{provider.title}</span>
                    <IconPlus size={14} />
                  </button>
                ))}
              </div>
            )}
          </Loaded>
        </Panel>
      )}
      {dialog && (
        <ConnectionDialog
          key={dialog.connection?.id ?? dialog.provider.kind}
          provider={dialog.provider}
          connection={dialog.connection}
          close={() => setDialog(null)}
        />
      )}
    </div>
  );
}

function Glyph({ title }: { title: string }) {
  const letters = title.replace(/^(Google|Amazon|Azure) /, "").slice(0, 2);
  return <span className={page.glyph}>{letters}</span>;
}

function ConnectionCard({
  connection,
  provider,
  edit,
}: {
  connection: Connection;
  provider: Provider | undefined;
  edit: () => void;
}) {
  const { api, project } = useApi();
  const { may } = useHere();
  const queries = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const path = { params: { path: { connection_id: connection.id } } };
  const test = useMutation({
    mutationFn: () => take(api.POST("/api/v1/connections/{connection_id}/test", path)),
    onSuccess: () => queries.invalidateQueries({ queryKey: [project, "connections"] }),
  });
  const remove = useMutation({
    mutationFn: () => take(api.DELETE("/api/v1/connections/{connection_id}", path)),
    onSuccess: () => queries.invalidateQueries({ queryKey: [project, "connections"] }),
  });
  const models = connection.models.length > 0 ? connection.models : (provider?.models ?? []);
  return (
    <article className={page.card} aria-label={`Connection ${connection.name}`}>
      <div className={page.cardHead}>
        <Glyph title={provider?.title ?? connection.provider} />
        <div className="grow">
          <div className="row">
            <b className="truncate">{connection.name}</b>
            {connection.is_default && <Pill tone="accent">default</Pill>}
          </div>
          <div className="muted truncate">{provider?.title ?? connection.provider}</div>
        </div>
        {may("costs.write") && (
          <Menu position="bottom-end" width={150}>
            <Menu.Target>
              <ActionIcon aria-label={`More about ${connection.name}`}>
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<IconPencil size={14} />} onClick={edit}>
                Edit
              </Menu.Item>
              <Menu.Item color="red" leftSection={<IconTrash size={14} />} onClick={() => setRemoving(true)}>
                Delete
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
      </div>
      <div className="stack soft" style={{ gap: 4, fontSize: 12.5 }}>
        <span className="mono truncate" title={connection.base_url || provider?.default_base_url}>
          {connection.base_url || provider?.default_base_url || "in this process"}
        </span>
        <span className="truncate" title={models.join(", ")}>
          {models.length > 0 ? models.join(", ") : "models by route only"}
          {connection.prices_as && <span className="muted"> · priced as {connection.prices_as}</span>}
        </span>
        <span className="muted">
          {connection.has_secret ? `key …${connection.secret_last4}` : "no key"} · changed{" "}
          <Time value={connection.updated_at} />
        </span>
      </div>
      {test.data && (
        <div className={page.result} data-ok={test.data.ok} role="status">
          <span className="row">
            {test.data.ok ? <IconCheck size={14} /> : <IconX size={14} />}
            <span className="grow">{test.data.message}</span>
            <span className="num">{duration(test.data.latency_ms)}</span>
          </span>
        </div>
      )}
      {test.error && (
        <div className={page.result} data-ok="false" role="alert">
          {test.error.message}
        </div>
      )}
      <div className="row">
        <Button variant="default" onClick={() => test.mutate()} loading={test.isPending} disabled={!may("costs.write")}>
          Test
        </Button>
        {connection.known_models.length > 0 && (
          <span className="muted" title={connection.known_models.join(", ")}>
            {plural(connection.known_models.length, "model")} known
          </span>
        )}
        <span className="grow" />
        <Link to="/prices">Prices</Link>
      </div>
      <Confirm
        opened={removing}
        close={() => setRemoving(false)}
        title={`Delete ${connection.name}?`}
        action="Delete connection"
        run={() => remove.mutate()}
        pending={remove.isPending}
        error={remove.error}
      >
        Calls to its models will fail from the next one on, unless another connection serves them. Traces stay.
      </Confirm>
    </article>
  );
}
