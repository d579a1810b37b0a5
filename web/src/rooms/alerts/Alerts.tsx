/** Alerts: what fires now and fired before, the rules that decide it, and whom they tell. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { AlertsSearch } from "../../router";
import { PageHead } from "../../ui/atoms";
import page from "../../ui/page.module.css";
import ui from "../../ui/ui.module.css";
import { Channels } from "./Channels";
import { Incidents } from "./Incidents";
import { Rules } from "./Rules";

const TABS = [
  { id: "incidents", title: "Incidents" },
  { id: "rules", title: "Rules" },
  { id: "channels", title: "Channels" },
];

export function Alerts() {
  const search = useSearch({ strict: false }) as AlertsSearch;
  const navigate = useNavigate();
  const tab = TABS.find((one) => one.id === search.tab)?.id ?? "incidents";
  const change = (next: string) =>
    void navigate({
      to: ".",
      search: ((before: object) => ({ ...before, tab: next, measure: undefined, filter: undefined })) as never,
    });
  return (
    <div className={page.page}>
      <PageHead title="Alerts" note="A rule watches a measure; when it passes its threshold, its channels are told." />
      <div className={ui.tabs} role="tablist" aria-label="Alerts">
        {TABS.map((one) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            aria-selected={one.id === tab}
            className={ui.tab}
            onClick={() => change(one.id)}
          >
            {one.title}
          </button>
        ))}
      </div>
      {tab === "incidents" && <Incidents toRules={() => change("rules")} />}
      {tab === "rules" && <Rules from={search} />}
      {tab === "channels" && <Channels />}
    </div>
  );
}
