/** The pages of the console, in the order of the navigation. A room that works adds its line here. */
import {
  IconAlertTriangle,
  IconBell,
  IconChartHistogram,
  IconChartLine,
  IconCoins,
  IconHistory,
  IconKey,
  IconListTree,
  IconMessages,
  IconPlugConnected,
  IconPrompt,
  IconRoute,
  IconSettings,
  IconUserSearch,
  IconUsers,
} from "@tabler/icons-react";

export interface PageLink {
  to: string;
  title: string;
  icon: typeof IconKey;
  keys: string; // a sequence
  permission?: string;
}

export const SECTIONS: { title: string; pages: PageLink[] }[] = [
  {
    title: "Observe",
    pages: [
      { to: "/", title: "Home", icon: IconChartHistogram, keys: "g h" },
      { to: "/traces", title: "Traces", icon: IconListTree, keys: "g t", permission: "traces.read" },
      { to: "/sessions", title: "Sessions", icon: IconMessages, keys: "g o", permission: "traces.read" },
      { to: "/end-users", title: "Users", icon: IconUserSearch, keys: "g u", permission: "traces.read" },
      { to: "/explore", title: "Metrics", icon: IconChartLine, keys: "g x", permission: "traces.read" },
      { to: "/failures", title: "Failures", icon: IconAlertTriangle, keys: "g f", permission: "traces.read" },
      { to: "/alerts", title: "Alerts", icon: IconBell, keys: "g a", permission: "traces.read" },
    ],
  },
  {
    title: "Build",
    pages: [{ to: "/playground", title: "Playground", icon: IconPrompt, keys: "g p", permission: "gateway.call" }],
  },
  {
    title: "Models",
    pages: [
      { to: "/providers", title: "Providers", icon: IconPlugConnected, keys: "g c", permission: "costs.read" },
      { to: "/routes", title: "Routes", icon: IconRoute, keys: "g r", permission: "costs.read" },
      { to: "/prices", title: "Prices", icon: IconCoins, keys: "g $", permission: "costs.read" },
    ],
  },
  {
    title: "Govern",
    pages: [
      { to: "/keys", title: "API keys", icon: IconKey, keys: "g k", permission: "keys.read" },
      { to: "/members", title: "Members", icon: IconUsers, keys: "g m", permission: "users.read" },
      { to: "/events", title: "Audit events", icon: IconHistory, keys: "g e", permission: "events.read" },
      { to: "/settings", title: "Project settings", icon: IconSettings, keys: "g s", permission: "projects.read" },
    ],
  },
];

export const PAGES: PageLink[] = SECTIONS.flatMap((section) => section.pages);
