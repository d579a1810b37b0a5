/** What a page shows when it has nothing (yet): the same three states everywhere. */
import { Button } from "@mantine/core";
import { IconAlertTriangle, IconRefresh } from "@tabler/icons-react";
import type { ComponentType, ReactNode } from "react";
import { ApiError } from "../api/client";
import css from "./ui.module.css";

export function Empty({
  icon: Icon,
  title,
  children,
  action,
}: {
  icon: ComponentType<{ size?: number; stroke?: number }>;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      <span className={css.emptyIcon}>
        <Icon size={22} stroke={1.5} />
      </span>
      <h2>{title}</h2>
      {children && <div className={css.emptyText}>{children}</div>}
      {action}
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const forbidden = error instanceof ApiError && error.status === 403;
  return (
    <div className={css.empty} role="alert">
      <span className={css.emptyIcon} data-tone="bad">
        <IconAlertTriangle size={22} stroke={1.5} />
      </span>
      <h2>{forbidden ? "Not allowed" : "This could not be loaded"}</h2>
      <div className={css.emptyText}>{message}</div>
      {retry && !forbidden && (
        <Button variant="default" leftSection={<IconRefresh size={14} />} onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Loading({ rows = 8, height = 16 }: { rows?: number; height?: number }) {
  return (
    <div className={css.loading} role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => `row-${row}`).map((key, row) => (
        <span key={key} className={css.bone} style={{ height, width: `${92 - ((row * 17) % 38)}%` }} />
      ))}
    </div>
  );
}

export function Bone({ width = "60%", height = 14 }: { width?: string | number; height?: number }) {
  return <span className={css.bone} style={{ width, height, display: "inline-block" }} />;
}

/** Renders a query in whichever state it is. */
export function Loaded<T>({
  query,
  rows,
  children,
}: {
  query: { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown };
  rows?: number;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Loading rows={rows} />;
}
