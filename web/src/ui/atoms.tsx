/** The small parts every room is made of. */
import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import {
  IconArrowsSort,
  IconBolt,
  IconCheck,
  IconCopy,
  IconDatabaseSearch,
  IconGitBranch,
  IconPoint,
  IconRobot,
  IconScale,
  IconShield,
  IconSparkles,
  IconTool,
  IconVector,
} from "@tabler/icons-react";
import type { CSSProperties, ReactNode } from "react";
import { exact, relative, usd } from "./format";
import { useNow } from "./now";
import css from "./ui.module.css";

/** A sheet folded into eight leaves. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" className={css.mark}>
      <rect width="32" height="32" rx="7" fill="var(--mark-bg)" />
      <g fill="#fff">
        <path d="M15.2 7.2 7 10.4v4.9l8.2-3.2z" />
        <path d="M15.2 13.3 7 16.5v4.9l8.2-3.2z" opacity=".72" />
        <path d="m15.2 19.4-6 2.35v.9l6 2.35z" opacity=".45" />
        <path d="m16.8 7.2 8.2 3.2v4.9l-8.2-3.2z" opacity=".86" />
        <path d="m16.8 13.3 8.2 3.2v4.9l-8.2-3.2z" opacity=".6" />
        <path d="m16.8 19.4 6 2.35v.9l-6 2.35z" opacity=".36" />
      </g>
    </svg>
  );
}

export function Time({ value, className }: { value: string; className?: string }) {
  const now = useNow();
  return (
    <time dateTime={value} title={exact(value)} className={`num ${className ?? ""}`}>
      {relative(value, now)}
    </time>
  );
}

/** A cost. An unknown price says so; it is never shown as nothing. */
export function Money({ value, short = false }: { value: string | null | undefined; short?: boolean }) {
  if (value === null || value === undefined)
    return (
      <span className={css.unknown} title="The price of this model is unknown. Set one under Providers → Prices.">
        {short ? "unknown" : "unknown price"}
      </span>
    );
  return (
    <span className="num" title={`$${value}`}>
      {usd(value)}
    </span>
  );
}

export type Tone = "good" | "warn" | "bad" | "accent" | "quiet";

export function Pill({
  tone = "quiet",
  children,
  title,
  dot,
}: {
  tone?: Tone;
  children: ReactNode;
  title?: string;
  dot?: boolean;
}) {
  return (
    <span className={css.pill} data-tone={tone} title={title}>
      {dot && <i className={css.pillDot} />}
      {children}
    </span>
  );
}

export function StatusDot({ tone, label, pulse }: { tone: Tone; label: string; pulse?: boolean }) {
  return <i role="img" className={css.dot} data-tone={tone} data-pulse={pulse} title={label} aria-label={label} />;
}

export function EnvironmentTag({ name }: { name: string }) {
  return (
    <span className={css.env} data-env={name}>
      {name}
    </span>
  );
}

const KINDS: Record<string, typeof IconSparkles> = {
  llm: IconSparkles,
  embedding: IconVector,
  retriever: IconDatabaseSearch,
  reranker: IconArrowsSort,
  tool: IconTool,
  agent: IconRobot,
  chain: IconGitBranch,
  guardrail: IconShield,
  evaluator: IconScale,
  event: IconBolt,
};

export function kindColor(kind: string): string {
  return kind in KINDS && kind !== "event" ? `var(--kind-${kind})` : "var(--kind-span)";
}

export function KindIcon({ kind, size = 14 }: { kind: string; size?: number }) {
  const Icon = KINDS[kind] ?? IconPoint;
  return (
    <span className={css.kind} style={{ color: kindColor(kind) }} title={kind}>
      <Icon size={size} stroke={1.9} aria-label={kind} />
    </span>
  );
}

export function Copy({ value, label = "Copy", size = 22 }: { value: string; label?: string; size?: number }) {
  return (
    <CopyButton value={value} timeout={1200}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : label}>
          <ActionIcon
            size={size}
            onClick={(event) => {
              event.stopPropagation();
              event.preventDefault();
              copy();
            }}
            aria-label={label}
            color={copied ? "green" : "gray"}
          >
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

export function CopyId({ value, label, chars = 8 }: { value: string; label: string; chars?: number }) {
  return (
    <span className={css.copyId} title={value}>
      <span className="mono">{value.length > chars + 2 ? `${value.slice(0, chars)}…` : value}</span>
      <Copy value={value} label={`Copy ${label}`} size={20} />
    </span>
  );
}

export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className={css.kbd}>{children}</kbd>;
}

export function Panel({
  title,
  note,
  actions,
  children,
  flush,
  style,
}: {
  title?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  style?: CSSProperties;
}) {
  return (
    <section className={css.panel} style={style}>
      {title && (
        <header className={css.panelHead}>
          <h2>{title}</h2>
          {note && <span className={css.panelNote}>{note}</span>}
          <span className="grow" />
          {actions}
        </header>
      )}
      <div className={flush ? css.panelFlush : css.panelBody}>{children}</div>
    </section>
  );
}

export function PageHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <div className={css.pageHead}>
      <h1>{title}</h1>
      {note && <span className={css.pageNote}>{note}</span>}
      <span className="grow" />
      {children}
    </div>
  );
}

export function Fact({ label, children, wide }: { label: string; children: ReactNode; wide?: boolean }) {
  return (
    <div className={css.fact} data-wide={wide}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
