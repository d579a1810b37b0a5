/** Environment, time range and the live switch: the top bar's right half. */
import { Button, Menu, Popover, TextInput } from "@mantine/core";
import { IconCalendar, IconCheck, IconChevronDown, IconStack2 } from "@tabler/icons-react";
import { useState } from "react";
import type { LiveState } from "../api/live";
import type { Environment } from "../api/types";
import { EnvironmentTag, StatusDot } from "../ui/atoms";
import { RANGE_TITLES, RANGES, type RangeName, useScope } from "./scope";
import css from "./shell.module.css";

export function EnvironmentSwitch({ environments }: { environments: Environment[] }) {
  const scope = useScope();
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <button type="button" className={css.barButton} aria-label="Environment">
          {scope.env ? (
            <EnvironmentTag name={scope.env} />
          ) : (
            <>
              <IconStack2 size={14} stroke={1.7} />
              <span className={css.barLabel}>All environments</span>
            </>
          )}
          <IconChevronDown size={12} />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {["", ...environments.map((one) => one.name)].map((name) => (
          <Menu.Item
            key={name}
            onClick={() => scope.set({ env: name || undefined })}
            rightSection={scope.env === name ? <IconCheck size={14} /> : null}
          >
            {name ? <EnvironmentTag name={name} /> : "All environments"}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function local(iso: string): string {
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const short = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });

export function RangePicker() {
  const scope = useScope();
  const [opened, open] = useState(false);
  const bounds = scope.bounds();
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const title =
    scope.range === "custom"
      ? `${short.format(new Date(bounds.from))} – ${short.format(new Date(bounds.to))}`
      : RANGE_TITLES[scope.range];
  const pick = (name: RangeName) => {
    scope.set({ range: name, from: undefined, to: undefined });
    open(false);
  };
  const valid = from !== "" && to !== "" && new Date(from) < new Date(to);
  return (
    <Popover opened={opened} onChange={open} position="bottom-end" width={260} trapFocus>
      <Popover.Target>
        <button
          type="button"
          className={css.barButton}
          aria-label="Time range"
          aria-expanded={opened}
          onClick={() => {
            setFrom(local(bounds.from));
            setTo(local(bounds.to));
            open(!opened);
          }}
        >
          <IconCalendar size={14} stroke={1.7} />
          <span className={css.barLabel}>{title}</span>
          <IconChevronDown size={12} />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={6}>
        {(Object.keys(RANGES) as RangeName[]).map((name) => (
          <button key={name} type="button" className={css.rangeItem} onClick={() => pick(name)}>
            <span className="grow">{RANGE_TITLES[name]}</span>
            {scope.range === name && <IconCheck size={14} />}
          </button>
        ))}
        <form
          className={css.rangeCustom}
          onSubmit={(event) => {
            event.preventDefault();
            scope.set({ range: undefined, from: new Date(from).toISOString(), to: new Date(to).toISOString() });
            open(false);
          }}
        >
          <TextInput
            type="datetime-local"
            label="From"
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
          />
          <TextInput
            type="datetime-local"
            label="To"
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
          />
          <Button type="submit" variant="default" disabled={!valid}>
            Apply
          </Button>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

const LIVE: Record<LiveState, string> = {
  off: "Paused",
  connecting: "Connecting",
  live: "Live",
  polling: "Every 5 s",
};

export function LiveSwitch({ state, toggle }: { state: LiveState; toggle: () => void }) {
  return (
    <button
      type="button"
      className={css.barButton}
      onClick={toggle}
      aria-pressed={state !== "off"}
      title={state === "off" ? "Resume live updates" : "Pause live updates"}
    >
      <StatusDot
        tone={state === "live" ? "good" : state === "off" ? "quiet" : "warn"}
        pulse={state === "live"}
        label={LIVE[state]}
      />
      <span className={css.barLabel}>{LIVE[state]}</span>
    </button>
  );
}
