/** API keys: make one (its secret is shown once), see where they are used, revoke. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconBan, IconKey, IconPlus } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { ApiKey } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { Copy, EnvironmentTag, PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import { useNow } from "../../ui/now";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { KeyDialog } from "./KeyDialog";

export function Keys() {
  const { api, project } = useApi();
  const { may } = useHere();
  const queries = useQueryClient();
  const keys = useQuery({
    queryKey: [project, "keys"],
    queryFn: () => take(api.GET("/api/v1/api-keys")),
  });
  const [creating, create] = useState(false);
  const [revoking, revoke] = useState<ApiKey | null>(null);
  const revocation = useMutation({
    mutationFn: (key: ApiKey) =>
      take(api.DELETE("/api/v1/api-keys/{key_id}", { params: { path: { key_id: key.id } } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project, "keys"] });
      revoke(null);
    },
  });
  const write = may("keys.write");
  const button = (
    <Button leftSection={<IconPlus size={14} />} onClick={() => create(true)}>
      New key
    </Button>
  );
  return (
    <div className={page.page}>
      <PageHead title="API keys" note="One pair works for OpenAI, Anthropic, Langfuse and OpenTelemetry clients.">
        {write && button}
      </PageHead>
      <Panel flush>
        <Loaded query={keys}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty icon={IconKey} title="No keys yet" action={write && button}>
                An application needs one to call models through the gateway or to send traces.
              </Empty>
            ) : (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>Name</th>
                      <th>Environment</th>
                      <th>Public key</th>
                      <th>Secret</th>
                      <th>Scopes</th>
                      <th>Models</th>
                      <th>Last used</th>
                      <th>Expires</th>
                      <th aria-label="Actions" />
                    </tr>
                  </thead>
                  <tbody>
                    {data.map((key) => (
                      <KeyRow key={key.id} apiKey={key} revoke={write ? () => revoke(key) : undefined} />
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Loaded>
      </Panel>
      {creating && <KeyDialog close={() => create(false)} />}
      <Confirm
        opened={revoking !== null}
        close={() => revoke(null)}
        title={`Revoke ${revoking?.name ?? ""}?`}
        action="Revoke key"
        run={() => revoking && revocation.mutate(revoking)}
        pending={revocation.isPending}
        error={revocation.error}
      >
        Applications that use it are refused from the next call on. A revoked key cannot be brought back.
      </Confirm>
    </div>
  );
}

function KeyRow({ apiKey: key, revoke }: { apiKey: ApiKey; revoke?: () => void }) {
  const now = useNow();
  const expired = key.expires_at !== null && Date.parse(key.expires_at) < now;
  return (
    <tr className={key.revoked_at || expired ? page.gone : undefined}>
      <td>
        <b>{key.name}</b>
      </td>
      <td>
        <EnvironmentTag name={key.environment} />
      </td>
      <td>
        <span className="row mono" style={{ gap: 2 }}>
          {key.public_key.length > 18 ? `${key.public_key.slice(0, 16)}…` : key.public_key}
          <Copy value={key.public_key} label="Copy public key" size={20} />
        </span>
      </td>
      <td className="mono soft">{key.secret_hint}</td>
      <td>
        <Tooltip label={key.scopes.join(", ")} multiline maw={320}>
          <span>
            <Pill>{key.scopes.length === 1 ? key.scopes[0] : `${key.scopes.length} scopes`}</Pill>
          </span>
        </Tooltip>
      </td>
      <td className="mono soft">{key.allowed_models.length > 0 ? key.allowed_models.join(", ") : "all"}</td>
      <td className="soft">{key.last_used_at ? <Time value={key.last_used_at} /> : "never"}</td>
      <td className="soft">
        {key.revoked_at ? (
          <Pill tone="bad">
            revoked <Time value={key.revoked_at} />
          </Pill>
        ) : key.expires_at ? (
          expired ? (
            <Pill tone="bad">expired</Pill>
          ) : (
            <Time value={key.expires_at} />
          )
        ) : (
          "never"
        )}
      </td>
      <td data-right>
        {revoke && !key.revoked_at && (
          <Tooltip label="Revoke">
            <ActionIcon aria-label={`Revoke ${key.name}`} onClick={revoke}>
              <IconBan size={15} />
            </ActionIcon>
          </Tooltip>
        )}
      </td>
    </tr>
  );
}
