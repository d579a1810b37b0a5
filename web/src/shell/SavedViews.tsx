/** Saved views: the filters, columns and range of a page under a name, for oneself or the whole project. */
import { ActionIcon, Button, Checkbox, Menu, Popover, TextInput, Tooltip } from "@mantine/core";
import { IconBookmark, IconBookmarkPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../api/client";
import type { View, ViewPage } from "../api/types";

const PROJECT = "project";

/** What of the URL makes the view: everything but the project. */
function currentQuery(): string {
  const params = new URLSearchParams(window.location.search);
  params.delete(PROJECT);
  return params.toString();
}

export function SavedViews({ page }: { page: ViewPage }) {
  const { api, project } = useApi();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const key = [project, "views", page];
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [shared, setShared] = useState(true);
  const views = useQuery({
    queryKey: key,
    queryFn: () => take(api.GET("/api/v1/views", { params: { query: { page } } })),
    staleTime: 60_000,
    retry: false,
  });
  const refresh = () => queries.invalidateQueries({ queryKey: key });
  const save = useMutation({
    mutationFn: () => take(api.POST("/api/v1/views", { body: { name, page, query: currentQuery(), shared } })),
    onSuccess: async () => {
      setNaming(false);
      setName("");
      await refresh();
    },
  });
  const remove = useMutation({
    mutationFn: (view: View) => take(api.DELETE("/api/v1/views/{view_id}", { params: { path: { view_id: view.id } } })),
    onSuccess: refresh,
  });
  const list = views.data?.data ?? [];
  const open = (view: View) => {
    const next = Object.fromEntries(new URLSearchParams(view.query.replace(/^\?/, "")));
    void navigate({ to: ".", search: { project, ...next } as never });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <>
      <Menu position="bottom-end" width={240}>
        <Menu.Target>
          <Button variant="default" leftSection={<IconBookmark size={14} stroke={1.7} />}>
            Views{list.length > 0 && ` ${list.length}`}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {list.length === 0 && (
            <Menu.Label>No saved view yet: set filters, then keep them with the next button.</Menu.Label>
          )}
          {list.map((view) => (
            <Menu.Item
              key={view.id}
              onClick={() => open(view)}
              rightSection={
                view.mine && (
                  <ActionIcon
                    component="span"
                    size={20}
                    aria-label={`Delete view ${view.name}`}
                    onClick={(event) => {
                      event.stopPropagation();
                      remove.mutate(view);
                    }}
                  >
                    <IconTrash size={13} />
                  </ActionIcon>
                )
              }
            >
              {view.name}
              {!view.shared && <span className="muted"> · mine</span>}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Popover opened={naming} onChange={setNaming} position="bottom-end" width={260} trapFocus>
        <Popover.Target>
          <Tooltip label="Save this view">
            <ActionIcon onClick={() => setNaming(!naming)} aria-label="Save this view">
              <IconBookmarkPlus size={16} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
        </Popover.Target>
        <Popover.Dropdown>
          <form className="stack" onSubmit={submit}>
            <TextInput
              label="Name of the view"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              error={save.error?.message}
              required
              data-autofocus
            />
            <Checkbox
              label="For everybody in the project"
              checked={shared}
              onChange={(event) => setShared(event.currentTarget.checked)}
            />
            <Button type="submit" loading={save.isPending}>
              Save view
            </Button>
          </form>
        </Popover.Dropdown>
      </Popover>
    </>
  );
}
