/** Who changed what, when; with the digest of the subject before and after. */
import { Button, TextInput } from "@mantine/core";
import { IconArrowNarrowRight, IconHistory, IconSearch } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { AuditEvent } from "../../api/types";
import { CopyId, PageHead, Panel, Pill, Time, type Tone } from "../../ui/atoms";
import { Json } from "../../ui/code";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";

function toneOf(action: string): Tone {
  if (/delet|revok|fail|disabl|remov/.test(action)) return "bad";
  if (/creat|add|made|log/.test(action)) return "good";
  return "accent";
}

export function Events() {
  const { api, project } = useApi();
  const kept = useKept();
  const search = useSearch({ strict: false }) as { action?: string; subject?: string; actor?: string };
  const navigate = useNavigate();
  const action = search.action ?? "";
  const subject = search.subject ?? "";
  const events = useInfiniteQuery({
    queryKey: [project, "events", action, subject, "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(
        api.GET("/api/v1/events", {
          params: {
            query: {
              limit: 50,
              ...(action && { action }),
              ...(subject && { subject_id: subject }),
              ...(pageParam && { cursor: pageParam }),
            },
          },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: kept,
  });
  const change = (patch: { action?: string; subject?: string }) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...patch })) as never, replace: true });
  const rows = events.data?.pages.flatMap((one) => one.data);
  return (
    <div className={page.page}>
      <PageHead title="Audit events" note="Every change, written in the same transaction as the change itself.">
        <TextInput
          key={`action-${action}`}
          aria-label="Action"
          placeholder="Action, as api_key.created"
          leftSection={<IconSearch size={13} />}
          w={220}
          defaultValue={action}
          onBlur={(event) => change({ action: event.currentTarget.value || undefined })}
          onKeyDown={(event) => event.key === "Enter" && change({ action: event.currentTarget.value || undefined })}
        />
        <TextInput
          key={`subject-${subject}`}
          aria-label="Subject"
          placeholder="Subject id"
          w={180}
          defaultValue={subject}
          onBlur={(event) => change({ subject: event.currentTarget.value || undefined })}
          onKeyDown={(event) => event.key === "Enter" && change({ subject: event.currentTarget.value || undefined })}
        />
      </PageHead>
      <Panel flush>
        <Loaded query={{ ...events, data: rows }}>
          {(data) =>
            data.length === 0 ? (
              <Empty icon={IconHistory} title="No event matches">
                Actions are named in full, such as <span className="mono">connection.created</span>.
              </Empty>
            ) : (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>When</th>
                      <th>Who</th>
                      <th>Action</th>
                      <th>Subject</th>
                      <th>Digest before and after</th>
                      <th data-right>#</th>
                    </tr>
                  </thead>
                  <tbody>
                    {data.map((event) => (
                      <EventRow key={event.id} event={event} />
                    ))}
                  </tbody>
                </table>
                {events.hasNextPage && (
                  <div style={{ padding: 8, textAlign: "center" }}>
                    <Button
                      variant="subtle"
                      onClick={() => void events.fetchNextPage()}
                      loading={events.isFetchingNextPage}
                    >
                      Load more
                    </Button>
                  </div>
                )}
              </div>
            )
          }
        </Loaded>
      </Panel>
    </div>
  );
}

function Digest({ value }: { value: string | null }) {
  if (value === null) return <span className="muted">none</span>;
  const hex = value.replace(/^sha256:/, "");
  return (
    <span className={page.digest} title={value}>
      {hex.slice(0, 10)}
    </span>
  );
}

function EventRow({ event }: { event: AuditEvent }) {
  const [opened, open] = useState(false);
  return (
    <Fragment>
      <tr onClick={() => open(!opened)} style={{ cursor: "pointer" }} aria-expanded={opened}>
        <td className="soft">
          <Time value={event.at} />
        </td>
        <td>
          {event.actor.name} <span className="muted">{event.actor.kind === "user" ? "" : event.actor.kind}</span>
        </td>
        <td>
          <Pill tone={toneOf(event.action)}>{event.action}</Pill>
        </td>
        <td>
          <CopyId value={event.subject_id} label="subject id" chars={14} />
        </td>
        <td>
          <span className="row" style={{ gap: 6 }}>
            <Digest value={event.before_digest} />
            <IconArrowNarrowRight size={14} className="muted" />
            <Digest value={event.after_digest} />
          </span>
        </td>
        <td data-right className="muted">
          {event.seq}
        </td>
      </tr>
      {opened && (
        <tr>
          <td colSpan={6} data-wrap>
            <Json
              value={{
                reason: event.reason,
                details: event.details,
                before_digest: event.before_digest,
                after_digest: event.after_digest,
                request_id: event.request_id,
                actor: event.actor,
              }}
            />
          </td>
        </tr>
      )}
    </Fragment>
  );
}
