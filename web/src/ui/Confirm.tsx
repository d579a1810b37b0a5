import { Button, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import page from "./page.module.css";

/** Asks before something that cannot be undone. */
export function Confirm({
  opened,
  close,
  title,
  action,
  children,
  run,
  pending,
  error,
}: {
  opened: boolean;
  close: () => void;
  title: string;
  action: string;
  children: ReactNode;
  run: () => void;
  pending: boolean;
  error?: Error | null;
}) {
  return (
    <Modal opened={opened} onClose={close} title={title} size={440}>
      <div className="stack">
        <div className="soft">{children}</div>
        {error && (
          <div className={page.result} data-ok="false" role="alert">
            {error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close} data-autofocus>
            Cancel
          </Button>
          <Button color="red" onClick={run} loading={pending}>
            {action}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
