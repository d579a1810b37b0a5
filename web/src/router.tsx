/** The route table of the console. Rooms are loaded when they are first opened. */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  retainSearchParams,
} from "@tanstack/react-router";
import { Login } from "./shell/Login";
import { Missing, RoomError, RoomLoading } from "./shell/pagesStates";
import { Shell } from "./shell/Shell";
import { validateScope } from "./shell/scope";
import { sessionQuery } from "./shell/session";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: Missing,
});

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string } => ({
    next: typeof search.next === "string" ? search.next : undefined,
  }),
  component: function LoginPage() {
    return <Login next={login.useSearch().next} />;
  },
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  validateSearch: validateScope,
  search: { middlewares: [retainSearchParams(["project", "env", "range", "from", "to"])] },
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/login", search: { next: location.href === "/" ? undefined : location.href } });
    return { session };
  },
  errorComponent: RoomError,
  component: function ShellPage() {
    return <Shell session={shell.useRouteContext().session} />;
  },
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: lazyRouteComponent(() => import("./rooms/home/Home"), "Home"),
});

export interface TracesSearch {
  q?: string;
  filter?: string;
  columns?: string;
  live?: boolean;
}

function optional(value: unknown): string | undefined {
  return value === undefined || value === null || value === "" ? undefined : String(value);
}

const traces = createRoute({
  getParentRoute: () => shell,
  path: "/traces",
  validateSearch: (search: Record<string, unknown>): TracesSearch => ({
    q: optional(search.q),
    filter: optional(search.filter),
    columns: optional(search.columns),
    live: search.live === true || undefined,
  }),
  component: lazyRouteComponent(() => import("./rooms/traces/TraceList"), "TraceList"),
});

export interface TraceSearch {
  span?: string;
  tab?: string;
  view?: string;
  find?: string;
}

const trace = createRoute({
  getParentRoute: () => shell,
  path: "/traces/$traceId",
  validateSearch: (search: Record<string, unknown>): TraceSearch => ({
    span: optional(search.span),
    tab: optional(search.tab),
    view: optional(search.view),
    find: optional(search.find),
  }),
  component: lazyRouteComponent(() => import("./rooms/traces/TracePage"), "TracePage"),
});

const traceDiff = createRoute({
  getParentRoute: () => shell,
  path: "/traces/$traceId/diff/$otherId",
  component: lazyRouteComponent(() => import("./rooms/traces/DiffPage"), "DiffPage"),
});

const sessions = createRoute({
  getParentRoute: () => shell,
  path: "/sessions",
  validateSearch: (search: Record<string, unknown>): TracesSearch => ({
    q: optional(search.q),
    filter: optional(search.filter),
  }),
  component: lazyRouteComponent(() => import("./rooms/traces/Sessions"), "Sessions"),
});

const session = createRoute({
  getParentRoute: () => shell,
  path: "/sessions/$sessionId",
  component: lazyRouteComponent(() => import("./rooms/traces/SessionPage"), "SessionPage"),
});

const endUsers = createRoute({
  getParentRoute: () => shell,
  path: "/end-users",
  validateSearch: (search: Record<string, unknown>): TracesSearch => ({
    q: optional(search.q),
    filter: optional(search.filter),
  }),
  component: lazyRouteComponent(() => import("./rooms/traces/Sessions"), "EndUsers"),
});

export interface MetricsSearch {
  measure?: string;
  by?: string;
  of?: string;
  filter?: string;
  step?: string;
  style?: string;
}

const metrics = createRoute({
  getParentRoute: () => shell,
  path: "/explore",
  validateSearch: (search: Record<string, unknown>): MetricsSearch => ({
    measure: optional(search.measure),
    by: optional(search.by),
    of: optional(search.of),
    filter: optional(search.filter),
    step: optional(search.step),
    style: optional(search.style),
  }),
  component: lazyRouteComponent(() => import("./rooms/metrics/Explorer"), "Explorer"),
});

export interface FailuresSearch {
  tab?: string;
  filter?: string;
}

const failures = createRoute({
  getParentRoute: () => shell,
  path: "/failures",
  validateSearch: (search: Record<string, unknown>): FailuresSearch => ({
    tab: optional(search.tab),
    filter: optional(search.filter),
  }),
  component: lazyRouteComponent(() => import("./rooms/failures/Failures"), "Failures"),
});

const failure = createRoute({
  getParentRoute: () => shell,
  path: "/failures/$signature",
  validateSearch: (search: Record<string, unknown>): { filter?: string } => ({ filter: optional(search.filter) }),
  component: lazyRouteComponent(() => import("./rooms/failures/FailurePage"), "FailurePage"),
});

export interface AlertsSearch {
  tab?: string;
  measure?: string;
  filter?: string;
}

const alerts = createRoute({
  getParentRoute: () => shell,
  path: "/alerts",
  validateSearch: (search: Record<string, unknown>): AlertsSearch => ({
    tab: optional(search.tab),
    measure: optional(search.measure),
    filter: optional(search.filter),
  }),
  component: lazyRouteComponent(() => import("./rooms/alerts/Alerts"), "Alerts"),
});

const incident = createRoute({
  getParentRoute: () => shell,
  path: "/alerts/$alertId",
  component: lazyRouteComponent(() => import("./rooms/alerts/IncidentPage"), "IncidentPage"),
});

const playground = createRoute({
  getParentRoute: () => shell,
  path: "/playground",
  validateSearch: (search: Record<string, unknown>): { trace?: string; span?: string; model?: string } => ({
    trace: optional(search.trace),
    span: optional(search.span),
    model: optional(search.model),
  }),
  component: lazyRouteComponent(() => import("./rooms/playground/Playground"), "Playground"),
});

const providers = createRoute({
  getParentRoute: () => shell,
  path: "/providers",
  component: lazyRouteComponent(() => import("./rooms/costs/Providers"), "Providers"),
});

const routes = createRoute({
  getParentRoute: () => shell,
  path: "/routes",
  component: lazyRouteComponent(() => import("./rooms/costs/Routes"), "Routes"),
});

const prices = createRoute({
  getParentRoute: () => shell,
  path: "/prices",
  validateSearch: (search: Record<string, unknown>): { model?: string; provider?: string } => ({
    model: optional(search.model),
    provider: optional(search.provider),
  }),
  component: lazyRouteComponent(() => import("./rooms/costs/Prices"), "Prices"),
});

const keys = createRoute({
  getParentRoute: () => shell,
  path: "/keys",
  component: lazyRouteComponent(() => import("./rooms/governance/Keys"), "Keys"),
});

const members = createRoute({
  getParentRoute: () => shell,
  path: "/members",
  component: lazyRouteComponent(() => import("./rooms/governance/Members"), "Members"),
});

const events = createRoute({
  getParentRoute: () => shell,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): { action?: string; subject?: string; actor?: string } => ({
    action: optional(search.action),
    subject: optional(search.subject),
    actor: optional(search.actor),
  }),
  component: lazyRouteComponent(() => import("./rooms/governance/Events"), "Events"),
});

const settings = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(() => import("./rooms/governance/ProjectSettings"), "ProjectSettings"),
});

const tree = root.addChildren([
  login,
  shell.addChildren([
    home,
    traces,
    trace,
    traceDiff,
    sessions,
    session,
    endUsers,
    metrics,
    failures,
    failure,
    alerts,
    incident,
    playground,
    providers,
    routes,
    prices,
    keys,
    members,
    events,
    settings,
  ]),
]);

export function buildRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultPreload: "intent",
    defaultPendingComponent: RoomLoading,
    defaultErrorComponent: RoomError,
    defaultNotFoundComponent: Missing,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof buildRouter>;
  }
}
