/** Sessions and end users: what happened under each, in the chosen range. */
import { IconMessages, IconUserSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { ViewPage } from "../../api/types";
import type { TracesSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { useKeys } from "../../shell/keys";
import { SavedViews } from "../../shell/SavedViews";
import { useScope } from "../../shell/scope";
import { Money, Pill, Time } from "../../ui/atoms";
import { Snippets } from "../../ui/code";
import { compact, duration, integer } from "../../ui/format";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./traces.module.css";

interface Kind {
  path: "/api/v1/sessions" | "/api/v1/end-users";
  page: ViewPage;
  field: "session_id" | "user_id";
  title: string;
}

const SESSIONS: Kind = { path: "/api/v1/sessions", page: "sessions", field: "session_id", title: "Session" };
const USERS: Kind = { path: "/api/v1/end-users", page: "end-users", field: "user_id", title: "User" };

export function Sessions() {
  return <Groups kind={SESSIONS} />;
}

export function EndUsers() {
  return <Groups kind={USERS} />;
}

function Groups({ kind }: { kind: Kind }) {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as TracesSearch;
  const [at, setAt] = useState(-1);
  const { filter = "", q = "" } = search;
  const query = useQuery({
    queryKey: [project, kind.page, scope.key, filter, q, "live"],
    queryFn: () =>
      take(
        api.GET(kind.path, {
          params: {
            query: {
              ...scope.asked(filter, q),
              limit: 200,
            },
          },
        }),
      ),
    placeholderData: kept,
  });
  const rows = query.data?.data ?? [];
  const open = (id: string) =>
    kind.field === "session_id"
      ? void navigate({ to: "/sessions/$sessionId", params: { sessionId: id } })
      : void navigate({ to: "/traces", search: { filter: clauseOf(kind, id) } as never });
  useKeys({
    j: () => setAt(Math.min(rows.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    Enter: () => {
      const row = rows[at];
      if (row) open(row.id);
    },
  });
  return (
    <div className={css.list}>
      <div className={css.toolbar}>
        <FilterBar
          filter={filter}
          search={q}
          change={(next) =>
            void navigate({
              to: ".",
              search: ((before: object) => ({ ...before, filter: next.filter, q: next.q })) as never,
              replace: true,
            })
          }
        />
        <SavedViews page={kind.page} />
      </div>
      <div className={css.scroll}>
        <Loaded query={query} rows={14}>
          {({ data }) =>
            data.length === 0 ? (
              <None kind={kind} filtered={filter !== "" || q !== ""} />
            ) : (
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>{kind.title}</th>
                    <th data-right>Traces</th>
                    <th data-right>Spans</th>
                    <th data-right>Errors</th>
                    <th data-right>Tokens</th>
                    <th data-right>Cost</th>
                    <th data-right>Lasted</th>
                    <th data-right>Last seen</th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((row, place) => (
                    <tr key={row.id} aria-selected={place === at} className={css.groupRow}>
                      <td>
                        {kind.field === "session_id" ? (
                          <Link to="/sessions/$sessionId" params={{ sessionId: row.id }}>
                            {row.id}
                          </Link>
                        ) : (
                          <Link to="/traces" search={{ filter: clauseOf(kind, row.id) } as never}>
                            {row.id}
                          </Link>
                        )}
                      </td>
                      <td data-right>{integer(row.traces)}</td>
                      <td data-right>{integer(row.spans)}</td>
                      <td data-right>{row.errors > 0 ? <Pill tone="bad">{integer(row.errors)}</Pill> : "0"}</td>
                      <td data-right>{compact(row.total_tokens)}</td>
                      <td data-right>{row.total_tokens > 0 ? <Money value={row.cost_usd} short /> : "–"}</td>
                      <td data-right className="soft">
                        {duration(Date.parse(row.last_seen) - Date.parse(row.first_seen))}
                      </td>
                      <td data-right className="soft">
                        <Time value={row.last_seen} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )
          }
        </Loaded>
      </div>
    </div>
  );
}

function clauseOf(kind: Kind, id: string): string {
  return `${kind.field} = "${id.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

function None({ kind, filtered }: { kind: Kind; filtered: boolean }) {
  const sessions = kind.field === "session_id";
  if (filtered) return <Empty icon={IconMessages} title="None fits the filters in this range" />;
  return (
    <Empty
      icon={sessions ? IconMessages : IconUserSearch}
      title={sessions ? "No sessions in this range" : "No end users in this range"}
    >
      <p>
        {sessions
          ? "Calls of one conversation are shown together when they carry its id."
          : "Say who asked, and cost, errors and conversations are told by user."}
      </p>
      <Snippets
        options={[
          {
            label: "Gateway",
            text: `curl ${window.location.origin}/v1/chat/completions \\
  -H "Authorization: Bearer sk-oct-…" \\
  -H "X-Octavo-Session: chat-42" \\
  -H "X-Octavo-User: ada" \\
  -d '{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello!"}]}'`,
          },
          {
            label: "Langfuse",
            text: `from langfuse import propagate_attributes

with propagate_attributes(session_id="chat-42", user_id="ada"):
    answer = run_agent(question)`,
          },
          {
            label: "OpenTelemetry",
            text: `span.set_attribute("session.id", "chat-42")
span.set_attribute("user.id", "ada")`,
          },
        ]}
      />
    </Empty>
  );
}
