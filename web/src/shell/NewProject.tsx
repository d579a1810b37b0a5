import { Button, Group, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../api/client";
import { useScope } from "./scope";

export function NewProject({ opened, close }: { opened: boolean; close: () => void }) {
  const { api } = useApi();
  const queries = useQueryClient();
  const scope = useScope();
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: () => take(api.POST("/api/v1/projects", { body: { name } })),
    onSuccess: async (project) => {
      await queries.invalidateQueries({ queryKey: ["projects"] });
      scope.set({ project: project.slug, env: undefined });
      setName("");
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Modal opened={opened} onClose={close} title="New project">
      <form onSubmit={submit} className="stack">
        <TextInput
          label="Name"
          description="Keys, traces, connections and prices of a project are its own."
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={create.error?.message}
          data-autofocus
          required
        />
        <Group justify="flex-end" gap={8}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Create project
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
