/** Downloads the spans behind the list, as lines of JSON. */
import { ActionIcon, Menu, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDownload } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { ApiError, headersFor, useApi } from "../../api/client";
import { useScope } from "../../shell/scope";

export function Export({ filter, words }: { filter: string; words: string }) {
  const { project, csrf } = useApi();
  const scope = useScope();
  const download = useMutation({
    mutationFn: async () => {
      const query = new URLSearchParams({ ...scope.asked(filter, words) });
      const response = await fetch(`/api/v1/traces/export?${query}`, { headers: headersFor(project, csrf, "GET") });
      if (!response.ok) throw new ApiError(response.status, await detailOf(response));
      const address = URL.createObjectURL(await response.blob());
      const link = document.createElement("a");
      link.href = address;
      link.download = `${project}-spans.jsonl`;
      link.click();
      URL.revokeObjectURL(address);
    },
    onError: (error) => notifications.show({ color: "red", message: error.message }),
  });
  return (
    <Menu position="bottom-end" width={190}>
      <Menu.Target>
        <Tooltip label="Export these spans">
          <ActionIcon aria-label="Export" loading={download.isPending}>
            <IconDownload size={16} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Spans of this range and filter</Menu.Label>
        <Menu.Item onClick={() => download.mutate()}>JSON lines</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

async function detailOf(response: Response): Promise<string> {
  try {
    return String(((await response.json()) as { detail?: unknown }).detail);
  } catch {
    return `The server answered ${response.status}.`;
  }
}
