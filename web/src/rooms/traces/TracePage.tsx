/** One trace: its spans in time on the left, the chosen span on the right. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArrowLeft, IconChevronDown, IconChevronUp, IconListTree, IconShare } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { ApiError, take, useApi } from "../../api/client";
import type { Trace } from "../../api/types";
import type { TraceSearch } from "../../router";
import { useKeys } from "../../shell/keys";
import { CopyId, EnvironmentTag, Fact, Money, Pill, Time } from "../../ui/atoms";
import { duration, integer, plural } from "../../ui/format";
import { Empty, Failure, Loading } from "../../ui/states";
import { Compare } from "./Compare";
import { scoreText, useScores } from "./Feedback";
import { buildTree } from "./model";
import { orderKey } from "./order";
import { OpenInPlayground, SpanDetail } from "./SpanDetail";
import { SpanPane } from "./SpanPane";
import css from "./traces.module.css";

const GROWS_MS = 3_000;
const DONE_MS = 60_000;

/** Whether more spans may come: something of it happened within the last minute. */
function grows({ trace }: Trace): boolean {
  return Date.now() - Date.parse(trace.start_time) - trace.duration_ms < DONE_MS;
}

export function TracePage() {
  const { traceId } = useParams({ strict: false }) as { traceId: string };
  const { api, project } = useApi();
  const query = useQuery({
    queryKey: [project, "trace", traceId],
    queryFn: () => take(api.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id: traceId } } })),
    staleTime: 15_000,
    refetchInterval: (query) => (query.state.data && grows(query.state.data) ? GROWS_MS : false),
  });
  if (query.data) return <Page key={traceId} data={query.data} />;
  if (query.error instanceof ApiError && query.error.status === 404)
    return (
      <Empty icon={IconListTree} title="There is no such trace" action={<Link to="/traces">All traces</Link>}>
        It may be of another project, past its retention, or a second away from being stored.
      </Empty>
    );
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Loading rows={14} />;
}

function Page({ data }: { data: Trace }) {
  const { trace, spans } = data;
  const search = useSearch({ strict: false }) as TraceSearch;
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { project } = useApi();
  const tree = useMemo(() => buildTree(spans), [spans]);
  const firstModel = spans.find((span) => span.kind === "llm");
  const chosen =
    search.span && tree.byId.has(search.span)
      ? search.span
      : spans.length <= 2 && firstModel
        ? firstModel.span_id
        : tree.roots[0];
  const select = (span: string) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, span })) as never, replace: true });
  const scores = useScores(trace.trace_id).data?.data ?? [];
  const order = queries.getQueryData<string[]>(orderKey(project)) ?? [];
  const place = order.indexOf(trace.trace_id);
  const go = (by: number) => {
    const next = order[place + by];
    if (place >= 0 && next)
      void navigate({
        to: "/traces/$traceId",
        params: { traceId: next },
        search: ((before: object) => ({ ...before, span: undefined })) as never,
      });
  };
  useKeys({
    "[": () => go(-1),
    "]": () => go(1),
    Escape: () => void navigate({ to: "/traces" }),
    a: () =>
      void navigate({
        to: ".",
        search: ((before: object) => ({ ...before, tab: "feedback" })) as never,
        replace: true,
      }),
  });
  const share = async () => {
    await navigator.clipboard.writeText(window.location.href);
    notifications.show({ message: "Link copied. It shows this span to every member of the project." });
  };
  return (
    <div className={css.page}>
      <header className={css.traceHead}>
        <div className={css.traceTitle}>
          <Tooltip label="All traces">
            <ActionIcon component={Link} to="/traces" aria-label="All traces">
              <IconArrowLeft size={16} />
            </ActionIcon>
          </Tooltip>
          <h1 className="truncate" title={trace.name}>
            {trace.name}
          </h1>
          {trace.status === "error" && <Pill tone="bad">{trace.error_class || "error"}</Pill>}
          <CopyId value={trace.trace_id} label="trace id" />
          <span className="grow" />
          {place >= 0 && (
            <>
              <ActionIcon onClick={() => go(-1)} disabled={place === 0} aria-label="Previous trace">
                <IconChevronUp size={16} />
              </ActionIcon>
              <ActionIcon onClick={() => go(1)} disabled={place === order.length - 1} aria-label="Next trace">
                <IconChevronDown size={16} />
              </ActionIcon>
            </>
          )}
          <Compare trace={trace} />
          <Tooltip label="Copy link">
            <ActionIcon onClick={() => void share()} aria-label="Copy link to this trace">
              <IconShare size={16} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
          {firstModel && <OpenInPlayground traceId={trace.trace_id} spanId={firstModel.span_id} />}
        </div>
        <dl className={css.traceFacts}>
          <Fact label="Latency">{duration(trace.duration_ms)}</Fact>
          {trace.ttft_ms !== null && <Fact label="First token">{duration(trace.ttft_ms)}</Fact>}
          <Fact label="Tokens">
            {integer(trace.input_tokens)} <span className="muted">in</span> {integer(trace.output_tokens)}{" "}
            <span className="muted">out</span>
          </Fact>
          <Fact label="Cost">
            {trace.total_tokens > 0 || trace.cost_usd !== null ? <Money value={trace.cost_usd} /> : "–"}
          </Fact>
          <Fact label="Model">{trace.models.join(", ") || "–"}</Fact>
          <Fact label="Spans">{integer(trace.span_count)}</Fact>
          {trace.error_count > 0 && (
            <Fact label="Errors">
              <Pill tone="bad">{plural(trace.error_count, "error")}</Pill>
            </Fact>
          )}
          <Fact label="Started">
            <Time value={trace.start_time} />
          </Fact>
          <Fact label="Environment">
            <EnvironmentTag name={trace.environment} />
          </Fact>
          {trace.user_id && (
            <Fact label="User">
              <Link to="/traces" search={{ filter: `user_id = "${trace.user_id}"` } as never}>
                {trace.user_id}
              </Link>
            </Fact>
          )}
          {trace.session_id && (
            <Fact label="Session">
              <Link to="/sessions/$sessionId" params={{ sessionId: trace.session_id }}>
                {trace.session_id}
              </Link>
            </Fact>
          )}
          {scores.length > 0 && (
            <Fact label="Scores">
              {scores.slice(0, 6).map((score) => (
                <Pill key={score.id} title={score.comment || undefined}>
                  {score.name} {scoreText(score)}
                </Pill>
              ))}
            </Fact>
          )}
          {trace.tags.length > 0 && (
            <Fact label="Tags">
              {trace.tags.map((tag) => (
                <Pill key={tag}>{tag}</Pill>
              ))}
            </Fact>
          )}
        </dl>
      </header>
      <div className={css.split}>
        <SpanPane traceId={trace.trace_id} tree={tree} selected={chosen} select={select} />
        <div className={css.side}>
          {chosen && <SpanDetail key={chosen} traceId={trace.trace_id} spanId={chosen} tab={search.tab} />}
        </div>
      </div>
    </div>
  );
}
