/** The frame around all rooms: navigation, project, scope, palette. */
import { ActionIcon, Menu, Tooltip, useMantineColorScheme } from "@mantine/core";
import { useDisclosure, useLocalStorage } from "@mantine/hooks";
import {
  IconCheck,
  IconChevronDown,
  IconKeyboard,
  IconLayoutSidebarLeftCollapse,
  IconLogout,
  IconMenu2,
  IconMoon,
  IconPassword,
  IconPlus,
  IconSearch,
  IconSelector,
  IconSun,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { ApiProvider, createApi, take, useApi } from "../api/client";
import { type LiveState, useLive } from "../api/live";
import type { Project, Session } from "../api/types";
import { Kbd, Mark } from "../ui/atoms";
import { Failure } from "../ui/states";
import { Help } from "./Help";
import { useKeys } from "./keys";
import { NewProject } from "./NewProject";
import { Palette } from "./Palette";
import { PasswordDialog } from "./PasswordDialog";
import { PAGES, SECTIONS } from "./pages";
import { EnvironmentSwitch, LiveSwitch, RangePicker } from "./ScopeBar";
import { type ScopeSearch, useScope } from "./scope";
import { useLogOut } from "./session";
import { SessionProvider } from "./sessionContext";
import css from "./shell.module.css";

const FIRING_MS = 30_000;

/** Finds the project of the URL (or the last one used) before anything asks the API about it. */
export function Shell({ session }: { session: Session }) {
  const { project: wanted } = useSearch({ strict: false }) as ScopeSearch;
  const [remembered, remember] = useLocalStorage({
    key: "octavo-project",
    defaultValue: "",
    getInitialValueInEffect: false,
  });
  const projects = useQuery({
    queryKey: ["projects"],
    queryFn: () => take(createApi(undefined, undefined).GET("/api/v1/projects")),
  });
  const list = projects.data?.data;
  const current =
    list?.find((one) => one.slug === wanted || one.id === wanted) ??
    list?.find((one) => one.slug === remembered) ??
    list?.[0];
  const slug = current?.slug;
  useEffect(() => {
    if (slug && slug !== remembered) remember(slug);
  }, [slug, remembered, remember]);
  const inProject = useQuery({
    queryKey: ["session", slug],
    enabled: slug !== undefined,
    queryFn: () => take(createApi(slug, undefined).GET("/api/v1/session")),
    staleTime: 5 * 60_000,
  });
  if (projects.error) return <Failure error={projects.error} retry={() => void projects.refetch()} />;
  if (!list) return <div className={css.boot} role="status" aria-label="Loading" />;
  if (!current) return <Failure error={new Error("You are a member of no project yet. Ask an administrator.")} />;
  if (inProject.error) return <Failure error={inProject.error} retry={() => void inProject.refetch()} />;
  if (!inProject.data) return <div className={css.boot} role="status" aria-label="Loading" />;
  return (
    <ApiProvider project={current.slug} csrf={session.csrf_token}>
      <SessionProvider session={inProject.data} project={current}>
        <Frame session={inProject.data} project={current} projects={list} />
      </SessionProvider>
    </ApiProvider>
  );
}

function Frame({ session, project, projects }: { session: Session; project: Project; projects: Project[] }) {
  const { api } = useApi();
  const navigate = useNavigate();
  const { toggleColorScheme } = useMantineColorScheme();
  const [folded, fold] = useLocalStorage({ key: "octavo-nav", defaultValue: false, getInitialValueInEffect: false });
  const [drawer, setDrawer] = useState(false);
  const [palette, paletteControl] = useDisclosure(false);
  const [help, helpControl] = useDisclosure(false);
  const [watching, watch] = useState(true);
  const live = useLive(project.slug, watching);
  const environments = useQuery({
    queryKey: [project.slug, "environments"],
    queryFn: () => take(api.GET("/api/v1/environments")),
  });
  const permissions = useMemo(() => new Set(session.permissions), [session]);
  const pages = PAGES.filter((page) => !page.permission || permissions.has(page.permission));
  useKeys({
    "mod+k": paletteControl.toggle,
    "?": helpControl.open,
    "\\": () => fold(!folded),
    "t t": () => toggleColorScheme(),
    ...Object.fromEntries(pages.map((page) => [page.keys, () => void navigate({ to: page.to })])),
  });
  const list = environments.data?.data ?? [];
  return (
    <div className={css.frame} data-folded={folded}>
      <a href="#main" className="skip">
        Skip to content
      </a>
      <nav className={css.nav} data-open={drawer} aria-label="Main">
        <div className={css.navTop}>
          <ProjectSwitch project={project} projects={projects} folded={folded} />
        </div>
        <button type="button" className={css.search} onClick={paletteControl.open} aria-label="Search and commands">
          <IconSearch size={14} stroke={1.8} />
          <span className="grow">Search</span>
          <Kbd>⌘K</Kbd>
        </button>
        <div className={css.navList}>
          {SECTIONS.map((section) => {
            const shown = section.pages.filter((page) => pages.includes(page));
            return (
              shown.length > 0 && (
                <div key={section.title} className={css.navSection}>
                  <div className={css.navTitle}>{section.title}</div>
                  {shown.map((page) => (
                    <Tooltip key={page.to} label={page.title} position="right" disabled={!folded}>
                      <Link
                        to={page.to}
                        className={css.navLink}
                        activeOptions={{ exact: page.to === "/", includeSearch: false }}
                        onClick={() => setDrawer(false)}
                      >
                        <page.icon size={16} stroke={1.7} />
                        <span className={css.navText}>{page.title}</span>
                        {page.to === "/alerts" && <Firing />}
                      </Link>
                    </Tooltip>
                  ))}
                </div>
              )
            );
          })}
        </div>
        <UserMenu session={session} openHelp={helpControl.open} folded={folded} />
      </nav>
      {drawer && (
        <button type="button" className={css.scrim} aria-label="Close navigation" onClick={() => setDrawer(false)} />
      )}
      <div className={css.body}>
        <header className={css.bar}>
          <ActionIcon className={css.burger} onClick={() => setDrawer(true)} aria-label="Open navigation">
            <IconMenu2 size={18} />
          </ActionIcon>
          <ActionIcon
            className={css.foldButton}
            onClick={() => fold(!folded)}
            aria-label={folded ? "Unfold navigation" : "Fold navigation"}
          >
            <IconLayoutSidebarLeftCollapse size={17} stroke={1.6} />
          </ActionIcon>
          <span className="grow" />
          <BarControls live={live} toggleLive={() => watch(!watching)}>
            <EnvironmentSwitch environments={list} />
          </BarControls>
          <ThemeToggle />
        </header>
        <main id="main" className={css.main} tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <Palette opened={palette} close={paletteControl.close} pages={pages} projects={projects} environments={list} />
      <Help opened={help} close={helpControl.close} pages={pages} />
    </div>
  );
}

/** How many alerts fire now. */
function Firing() {
  const { api, project } = useApi();
  const { data } = useQuery({
    queryKey: [project, "firing", "live"],
    queryFn: () => take(api.GET("/api/v1/alerts", { params: { query: { state: "firing", limit: 100 } } })),
    refetchInterval: FIRING_MS,
  });
  const count = data?.data.length ?? 0;
  return (
    count > 0 && (
      <span className={css.firing} role="status" aria-label={`${count} firing`}>
        {count}
      </span>
    )
  );
}

function BarControls({ live, toggleLive, children }: { live: LiveState; toggleLive: () => void; children: ReactNode }) {
  return (
    <>
      <LiveSwitch state={live} toggle={toggleLive} />
      {children}
      <RangePicker />
    </>
  );
}

function ThemeToggle() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const dark =
    colorScheme === "dark" || (colorScheme === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <Tooltip label={dark ? "Light" : "Dark"}>
      <ActionIcon onClick={() => setColorScheme(dark ? "light" : "dark")} aria-label="Toggle light and dark">
        {dark ? <IconSun size={16} stroke={1.7} /> : <IconMoon size={16} stroke={1.7} />}
      </ActionIcon>
    </Tooltip>
  );
}

function ProjectSwitch({ project, projects, folded }: { project: Project; projects: Project[]; folded: boolean }) {
  const scope = useScope();
  const [creating, { open, close }] = useDisclosure(false);
  return (
    <>
      <Menu position="bottom-start" width={230}>
        <Menu.Target>
          <button type="button" className={css.project} aria-label={`Project ${project.name}`}>
            <Mark size={24} />
            {!folded && (
              <>
                <span className="grow truncate">{project.name}</span>
                <IconSelector size={14} />
              </>
            )}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Projects</Menu.Label>
          {projects.map((one) => (
            <Menu.Item
              key={one.id}
              onClick={() => scope.set({ project: one.slug, env: undefined })}
              rightSection={one.id === project.id ? <IconCheck size={14} /> : null}
            >
              {one.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconPlus size={14} />} onClick={open}>
            New project
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <NewProject opened={creating} close={close} />
    </>
  );
}

function UserMenu({ session, openHelp, folded }: { session: Session; openHelp: () => void; folded: boolean }) {
  const [changing, { open, close }] = useDisclosure(false);
  const logOut = useLogOut(session.csrf_token);
  const name = session.user.name || session.user.email;
  return (
    <div className={css.user}>
      <Menu position="top-start" width={220}>
        <Menu.Target>
          <button type="button" className={css.userButton} aria-label="Account">
            <span className={css.avatar}>{name.slice(0, 1).toUpperCase()}</span>
            {!folded && (
              <>
                <span className="grow truncate">{name}</span>
                <IconChevronDown size={12} />
              </>
            )}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{session.user.email}</Menu.Label>
          <Menu.Item leftSection={<IconPassword size={15} />} onClick={open}>
            Change password
          </Menu.Item>
          <Menu.Item leftSection={<IconKeyboard size={15} />} onClick={openHelp}>
            Keyboard shortcuts
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => logOut.mutate()}>
            Log out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <PasswordDialog opened={changing} close={close} />
    </div>
  );
}
