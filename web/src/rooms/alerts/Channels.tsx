/** The channels: whom rules tell, and whether it arrives. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconMail, IconPlus, IconSend, IconTrash, IconWebhook } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { Channel } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { Panel, Pill } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { ChannelDialog } from "./ChannelDialog";
import { useChannels } from "./queries";

export function Channels() {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const { may } = useHere();
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
  const button = may("projects.write") && (
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
  const { may } = useHere();
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
        {may("projects.write") && (
          <>
            <Button variant="default" onClick={() => test.mutate()} loading={test.isPending}>
              Test
            </Button>{" "}
            <Tooltip label="Delete">
              <ActionIcon aria-label={`Delete ${channel.name}`} onClick={remove}>
                <IconTrash size={15} />
              </ActionIcon>
            </Tooltip>
          </>
        )}
      </td>
    </tr>
  );
}
