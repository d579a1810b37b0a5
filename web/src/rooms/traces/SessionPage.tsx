/** A session as the conversation it was: what was asked and answered, turn by turn, each leading to its trace. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconMessages } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { TraceSummary } from "../../api/types";
import { useKeys } from "../../shell/keys";
import { EnvironmentTag, Fact, Money, Pill, Time } from "../../ui/atoms";
import { conversation, type Message, textParts } from "../../ui/conversation";
import { compact, duration, integer, plural } from "../../ui/format";
import { Empty, Failure, Loading } from "../../ui/states";
import { scoresOf } from "./columns";
import { Messages } from "./Messages";
import css from "./traces.module.css";

const PAGE = 100;

export function SessionPage() {
  const { sessionId } = useParams({ strict: false }) as { sessionId: string };
  const { api, project } = useApi();
  const navigate = useNavigate();
  const filter = `session_id = "${sessionId.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
  const query = useInfiniteQuery({
    queryKey: [project, "session-traces", sessionId, "live"],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(
        api.GET("/api/v1/traces", {
          params: { query: { filter, limit: PAGE, with_scores: true, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const newest = query.data?.pages.flatMap((page) => page.data) ?? [];
  const turns = [...newest].reverse();
  const [at, setAt] = useState(-1);
  const go = (place: number) => {
    setAt(place);
    document.getElementById(`turn-${place}`)?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  useKeys({
    j: () => go(Math.min(turns.length - 1, at + 1)),
    k: () => go(Math.max(0, at - 1)),
    Enter: () => {
      const turn = turns[at];
      if (turn) void navigate({ to: "/traces/$traceId", params: { traceId: turn.trace_id } });
    },
    Escape: () => void navigate({ to: "/sessions" }),
  });
  if (query.isPending) return <Loading rows={14} />;
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const first = turns[0];
  const last = turns.at(-1);
  if (!first || !last)
    return (
      <Empty
        icon={IconMessages}
        title="Nothing is kept of this session"
        action={<Link to="/sessions">All sessions</Link>}
      >
        Its traces may be past their retention, or of another project.
      </Empty>
    );
  const known = turns.filter((turn) => turn.cost_usd !== null);
  const errors = turns.filter((turn) => turn.status === "error").length;
  return (
    <div className={css.page}>
      <header className={css.traceHead}>
        <div className={css.traceTitle}>
          <Tooltip label="All sessions">
            <ActionIcon component={Link} to="/sessions" aria-label="All sessions">
              <IconArrowLeft size={16} />
            </ActionIcon>
          </Tooltip>
          <h1 className="truncate">{sessionId}</h1>
          {errors > 0 && <Pill tone="bad">{plural(errors, "failed turn")}</Pill>}
        </div>
        <dl className={css.traceFacts}>
          <Fact label="Turns">
            {integer(turns.length)}
            {query.hasNextPage && "+"}
          </Fact>
          <Fact label="Lasted">
            {duration(Date.parse(last.start_time) + last.duration_ms - Date.parse(first.start_time))}
          </Fact>
          <Fact label="Tokens">{compact(turns.reduce((sum, turn) => sum + turn.total_tokens, 0))}</Fact>
          <Fact label="Cost">
            {known.length > 0 ? (
              <Money value={String(known.reduce((sum, turn) => sum + Number(turn.cost_usd), 0).toFixed(9))} />
            ) : (
              "–"
            )}
          </Fact>
          <Fact label="Users">
            {[...new Set(turns.map((turn) => turn.user_id).filter(Boolean))].slice(0, 3).join(", ") || "–"}
          </Fact>
          <Fact label="Began">
            <Time value={first.start_time} />
          </Fact>
          <Fact label="Environment">
            <EnvironmentTag name={first.environment} />
          </Fact>
        </dl>
      </header>
      <div className={css.turns}>
        {query.hasNextPage && (
          <button type="button" className={css.more} onClick={() => void query.fetchNextPage()}>
            Earlier turns
          </button>
        )}
        {turns.map((turn, place) => (
          <Turn key={turn.trace_id} trace={turn} place={place} chosen={place === at} />
        ))}
      </div>
    </div>
  );
}

/** What the person said in this turn: the last message of theirs, since inputs repeat the whole history. */
function lastSaid(messages: Message[]): Message[] {
  const said = messages.findLast((one) => one.role === "user");
  return said ? [said] : messages.slice(-1);
}

function Turn({ trace, place, chosen }: { trace: TraceSummary; place: number; chosen: boolean }) {
  const { api, project } = useApi();
  const span = useQuery({
    queryKey: [project, "span", trace.trace_id, trace.root_span_id],
    enabled: trace.root_span_id !== "",
    staleTime: 60_000,
    queryFn: () =>
      take(
        api.GET("/api/v1/spans/{span_id}", {
          params: { path: { span_id: trace.root_span_id }, query: { trace_id: trace.trace_id } },
        }),
      ),
  });
  const input = span.data?.input || trace.input_preview;
  const output = span.data?.output || trace.output_preview;
  const asked = conversation(input, "user") ?? (input ? [{ role: "user", parts: textParts(input) }] : []);
  const said = conversation(output, "assistant") ?? (output ? [{ role: "assistant", parts: textParts(output) }] : []);
  return (
    <section id={`turn-${place}`} className={css.turn} data-chosen={chosen} aria-label={`Turn ${place + 1}`}>
      <header>
        <Link to="/traces/$traceId" params={{ traceId: trace.trace_id }}>
          {trace.name}
        </Link>
        <Time value={trace.start_time} className="muted" />
        <span className="grow" />
        {Object.entries(scoresOf(trace))
          .slice(0, 3)
          .map(([name, value]) => (
            <Pill key={name}>
              {name} {value}
            </Pill>
          ))}
        <span className="num soft">{duration(trace.duration_ms)}</span>
        {trace.total_tokens > 0 && <span className={`num muted ${css.tokens}`}>{compact(trace.total_tokens)} tok</span>}
        {trace.cost_usd !== null && <Money value={trace.cost_usd} short />}
      </header>
      <div className={css.said} data-side="user">
        <Messages messages={lastSaid(asked)} />
      </div>
      {said.length > 0 && (
        <div className={css.said} data-side="assistant">
          <Messages messages={said} />
        </div>
      )}
      {trace.status === "error" && (
        <div className={css.errorBox} role="note">
          <b>{trace.error_class || "error"}</b>
          <div>{trace.error_message}</div>
        </div>
      )}
    </section>
  );
}
