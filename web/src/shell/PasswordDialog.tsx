import { Button, Group, Modal, PasswordInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../api/client";

export function PasswordDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const { api } = useApi();
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  const change = useMutation({
    mutationFn: () =>
      take(api.POST("/api/v1/session/password", { body: { old_password: before, new_password: after } })),
    onSuccess: () => {
      notifications.show({ message: "Password changed. Your other sessions were ended." });
      setBefore("");
      setAfter("");
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <Modal opened={opened} onClose={close} title="Change password">
      <form onSubmit={submit} className="stack">
        <PasswordInput
          label="Present password"
          autoComplete="current-password"
          value={before}
          onChange={(event) => setBefore(event.currentTarget.value)}
          data-autofocus
          required
        />
        <PasswordInput
          label="New password"
          autoComplete="new-password"
          value={after}
          onChange={(event) => setAfter(event.currentTarget.value)}
          error={change.error?.message}
          required
        />
        <Group justify="flex-end" gap={8}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.isPending}>
            Change password
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
