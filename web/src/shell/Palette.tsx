/** ⌘K: go anywhere, switch anything, open a trace by its id. */
import { Modal, useMantineColorScheme } from "@mantine/core";
import {
  IconCalendar,
  IconCornerDownLeft,
  IconFolder,
  IconListTree,
  IconMessages,
  IconMoon,
  IconStack2,
} from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { type ComponentType, type KeyboardEvent, useMemo, useState } from "react";
import type { Environment, Project } from "../api/types";
import { Kbd } from "../ui/atoms";
import type { PageLink } from "./pages";
import { RANGE_TITLES, RANGES, type RangeName, useScope } from "./scope";
import css from "./shell.module.css";

interface Command {
  id: string;
  title: string;
  group: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  keys?: string;
  run: () => void;
}

function matches(title: string, words: string[]): boolean {
  const lower = title.toLowerCase();
  return words.every((word) => lower.includes(word));
}

export function Palette(props: {
  opened: boolean;
  close: () => void;
  pages: PageLink[];
  projects: Project[];
  environments: Environment[];
}) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.close}
      withCloseButton={false}
      padding={0}
      size={560}
      yOffset="14vh"
      centered={false}
      title={null}
      aria-label="Command palette"
    >
      <Commands {...props} />
    </Modal>
  );
}

function Commands({
  close,
  pages,
  projects,
  environments,
}: {
  close: () => void;
  pages: PageLink[];
  projects: Project[];
  environments: Environment[];
}) {
  const [query, setQuery] = useState("");
  const [index, setIndex] = useState(0);
  const navigate = useNavigate();
  const scope = useScope();
  const { toggleColorScheme } = useMantineColorScheme();
  const commands = useMemo<Command[]>(
    () => [
      ...pages.map((page) => ({
        id: page.to,
        title: page.title,
        group: "Go to",
        icon: page.icon,
        keys: page.keys,
        run: () => void navigate({ to: page.to }),
      })),
      ...projects.map((project) => ({
        id: project.id,
        title: `Project: ${project.name}`,
        group: "Switch",
        icon: IconFolder,
        run: () => scope.set({ project: project.slug, env: undefined }),
      })),
      ...[{ name: "" }, ...environments].map(({ name }) => ({
        id: `env-${name}`,
        title: `Environment: ${name || "all"}`,
        group: "Switch",
        icon: IconStack2,
        run: () => scope.set({ env: name || undefined }),
      })),
      ...(Object.keys(RANGES) as RangeName[]).map((name) => ({
        id: `range-${name}`,
        title: RANGE_TITLES[name],
        group: "Time range",
        icon: IconCalendar,
        run: () => scope.set({ range: name, from: undefined, to: undefined }),
      })),
      { id: "theme", title: "Toggle light and dark", group: "Console", icon: IconMoon, run: () => toggleColorScheme() },
    ],
    [pages, projects, environments, navigate, scope, toggleColorScheme],
  );
  const trimmed = query.trim();
  const words = trimmed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter((command) => matches(`${command.group} ${command.title}`, words));
  if (/^[0-9a-f]{32}$/i.test(trimmed))
    found.unshift({
      id: "trace",
      title: `Open trace ${trimmed.slice(0, 12)}…`,
      group: "Trace",
      icon: IconListTree,
      run: () => void navigate({ to: "/traces/$traceId", params: { traceId: trimmed } }),
    });
  else if (words.length > 0)
    found.push(
      ...[
        { to: "/traces", title: `Traces with “${trimmed}”`, icon: IconListTree },
        { to: "/sessions", title: `Sessions with “${trimmed}”`, icon: IconMessages },
      ].map(({ to, title, icon }) => ({
        id: `search-${to}`,
        title,
        group: "Search",
        icon,
        run: () => void navigate({ to, search: { q: trimmed } as never }),
      })),
    );
  const chosen = Math.min(index, found.length - 1);
  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setIndex(Math.min(chosen + 1, found.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        className={css.paletteInput}
        placeholder="Go to, switch, search traces, or paste a trace id…"
        aria-label="Command"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[chosen] ? `palette-${found[chosen].id}` : undefined}
        // biome-ignore lint/a11y/noAutofocus: the dialog was opened to type here
        autoFocus
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setIndex(0);
        }}
        onKeyDown={key}
      />
      <div className={css.paletteList} id="palette-list" role="listbox" aria-label="Commands">
        {found.length === 0 && <div className={css.paletteNone}>Nothing matches “{trimmed}”.</div>}
        {found.map((command, position) => (
          <div key={command.id}>
            {command.group !== found[position - 1]?.group && <div className={css.paletteGroup}>{command.group}</div>}
            <div
              id={`palette-${command.id}`}
              role="option"
              tabIndex={-1}
              aria-selected={position === chosen}
              className={css.paletteItem}
              ref={position === chosen ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
              onMouseMove={() => setIndex(position)}
              onClick={() => run(command)}
              onKeyDown={key}
            >
              <command.icon size={16} stroke={1.7} />
              <span className="grow truncate">{command.title}</span>
              {command.keys?.split(" ").map((one) => (
                <Kbd key={one}>{one}</Kbd>
              ))}
              {position === chosen && !command.keys && <IconCornerDownLeft size={14} />}
            </div>
          </div>
        ))}
      </div>
    </>
  );
}
