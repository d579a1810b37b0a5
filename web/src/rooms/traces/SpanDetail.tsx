/** Everything about one span. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconPrompt } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { take, useApi } from "../../api/client";
import type { Span } from "../../api/types";
import { clause } from "../../shell/filter/filter";
import { CopyId, EnvironmentTag, Fact, KindIcon, Money, Pill, Time } from "../../ui/atoms";
import { Code, Json, parseJson } from "../../ui/code";
import { clockTime, duration, integer, usd } from "../../ui/format";
import { Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { Conversation, NoContent, useSpan } from "./Content";
import { Feedback, useScores } from "./Feedback";
import css from "./traces.module.css";

const TABS = ["conversation", "raw", "attributes", "events", "feedback"] as const;
type Tab = (typeof TABS)[number];
const TITLES: Record<Tab, string> = {
  conversation: "Conversation",
  raw: "Input and output",
  attributes: "Attributes",
  events: "Events",
  feedback: "Feedback",
};

export function SpanDetail({ traceId, spanId, tab }: { traceId: string; spanId: string; tab: string | undefined }) {
  const query = useSpan(traceId, spanId);
  return (
    <Loaded query={query} rows={14}>
      {(span) => <Detail span={span} tab={tab} />}
    </Loaded>
  );
}

function Detail({ span, tab }: { span: Span; tab: string | undefined }) {
  const navigate = useNavigate();
  const scores = useScores(span.trace_id).data?.data ?? [];
  const given = scores.filter((one) => (span.is_root && !one.span_id) || one.span_id === span.span_id).length;
  const chosen: Tab = TABS.find((one) => one === tab) ?? "conversation";
  const select = (next: Tab) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, tab: next })) as never, replace: true });
  return (
    <div className={css.detail}>
      <header className={css.detailHead}>
        <KindIcon kind={span.kind} size={17} />
        <h2 className="truncate" title={span.name}>
          {span.name}
        </h2>
        {span.status === "error" && <Pill tone="bad">{span.error_class || "error"}</Pill>}
        <span className="grow" />
        <CopyId value={span.span_id} label="span id" />
        {span.kind === "llm" && (
          <Tooltip label="Open in playground">
            <ActionIcon
              component={Link}
              to="/playground"
              search={{ trace: span.trace_id, span: span.span_id } as never}
              aria-label="Open in playground"
            >
              <IconPrompt size={16} />
            </ActionIcon>
          </Tooltip>
        )}
      </header>
      <Facts span={span} />
      {span.status === "error" && span.status_message && (
        <div className={css.errorBox} role="note">
          <b>{span.error_type || span.error_class || "Error"}</b>
          <div>{span.status_message}</div>
          <AllLikeIt span={span} />
        </div>
      )}
      {span.duplicate_of && (
        <p className={css.notice}>
          The gateway recorded this call too:{" "}
          <Link to="." search={((before: object) => ({ ...before, span: span.duplicate_of })) as never}>
            its own span
          </Link>{" "}
          is the one that counts (matched by {span.match.replace("_", " ")}).
        </p>
      )}
      <div className={ui.tabs} role="tablist" aria-label="Span">
        {TABS.map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            aria-selected={one === chosen}
            className={ui.tab}
            onClick={() => select(one)}
          >
            {TITLES[one]}
            {one === "feedback" && given > 0 && <span className={ui.count}>{given}</span>}
            {one === "events" && span.events.length > 0 && <span className={ui.count}>{span.events.length}</span>}
          </button>
        ))}
      </div>
      <div className={css.tabBody} role="tabpanel">
        {chosen === "conversation" && <Conversation span={span} />}
        {chosen === "raw" && <Raw span={span} />}
        {chosen === "attributes" && <Attributes span={span} />}
        {chosen === "events" && <Events span={span} />}
        {chosen === "feedback" && (
          <Feedback key={span.span_id} traceId={span.trace_id} spanId={span.span_id} isRoot={span.is_root} />
        )}
      </div>
    </div>
  );
}

const MINUTE = 60_000;

/** Leads to the failure that this span is a case of, or that of the step inside it that it failed by. */
function AllLikeIt({ span }: { span: Span }) {
  const { api } = useApi();
  const navigate = useNavigate();
  const find = useMutation({
    mutationFn: () => {
      const start = Date.parse(span.start_time);
      return take(
        api.GET("/api/v1/failures", {
          params: {
            query: {
              filter: clause("trace_id", "=", span.trace_id),
              from: new Date(start - MINUTE).toISOString(),
              to: new Date(start + span.duration_ms + MINUTE).toISOString(),
            },
          },
        }),
      );
    },
    onSuccess: ({ data }) => {
      const failure =
        data.find((one) => one.example.span_id === span.span_id) ??
        data.find((one) => one.error_class === span.error_class) ??
        data[0];
      if (failure) void navigate({ to: "/failures/$signature", params: { signature: failure.signature } });
    },
  });
  return (
    <button type="button" className={css.more} onClick={() => find.mutate()} disabled={find.isPending}>
      All failures like this
    </button>
  );
}

const BUCKETS = [
  ["input", "Input"],
  ["cache_read", "Cache read"],
  ["cache_write", "Cache write"],
  ["input_audio", "Audio in"],
  ["output", "Output"],
  ["reasoning", "Reasoning"],
  ["output_audio", "Audio out"],
] as const;

function Facts({ span }: { span: Span }) {
  const usage = span.usage;
  const model = span.kind === "llm" || span.kind === "embedding" || span.model !== "";
  return (
    <>
      <dl className={css.facts}>
        <Fact label="Latency">{duration(span.duration_ms)}</Fact>
        {span.ttft_ms !== null && <Fact label="First token">{duration(span.ttft_ms)}</Fact>}
        <Fact label="Started">
          <Time value={span.start_time} />
        </Fact>
        {model && (
          <>
            <Fact label="Cost">
              {span.total_tokens > 0 || span.cost_usd !== null ? <Money value={span.cost_usd} /> : "–"}
            </Fact>
            <Fact label="Model">
              {span.model_requested && span.model_requested !== span.model ? (
                <span title={`asked for ${span.model_requested}, served by ${span.model || "nobody"}`}>
                  {span.model_requested} <span className="muted">→</span> {span.model || "–"}
                </span>
              ) : (
                span.model || "–"
              )}
            </Fact>
            {span.provider && <Fact label="Provider">{span.provider}</Fact>}
            {span.attempts > 0 && (
              <Fact label="Attempts">
                {span.attempts > 1 ? <Pill tone="warn">{span.attempts}</Pill> : span.attempts}
              </Fact>
            )}
            {span.finish_reason && <Fact label="Finish">{span.finish_reason}</Fact>}
            {span.streaming && <Fact label="Mode">streamed</Fact>}
          </>
        )}
        <Fact label="Environment">
          <EnvironmentTag name={span.environment} />
        </Fact>
        {span.service && <Fact label="Service">{span.service}</Fact>}
        {span.version && <Fact label="Version">{span.version}</Fact>}
        {span.release && (
          <Fact label="Release">
            <CopyId value={span.release} label="release digest" />
          </Fact>
        )}
        {span.api_key_id && (
          <Fact label="API key">
            <CopyId value={span.api_key_id} label="key id" chars={12} />
          </Fact>
        )}
        {span.captured !== "full" && <Fact label="Capture">{span.captured}</Fact>}
      </dl>
      {usage && usage.total > 0 && (
        <div className={css.usage}>
          <div className={css.usageBar} aria-hidden="true">
            {BUCKETS.map(
              ([bucket]) =>
                usage[bucket] > 0 && <i key={bucket} data-bucket={bucket} style={{ flexGrow: usage[bucket] }} />,
            )}
          </div>
          <ul>
            {BUCKETS.filter(([bucket]) => usage[bucket] > 0).map(([bucket, title]) => (
              <li key={bucket}>
                <i data-bucket={bucket} />
                {title} <b>{integer(usage[bucket])}</b>
                {span.cost_details[bucket] !== undefined && (
                  <span className="muted"> {usd(span.cost_details[bucket])}</span>
                )}
              </li>
            ))}
            <li className="muted">
              Total <b>{integer(usage.total)}</b> tokens
            </li>
          </ul>
        </div>
      )}
    </>
  );
}

function Raw({ span }: { span: Span }) {
  if (!span.input && !span.output) return <NoContent span={span} />;
  return (
    <div className="stack">
      {(["input", "output"] as const).map((side) => {
        const text = span[side];
        const value = parseJson(text);
        return (
          <section key={side}>
            <h3 className={css.blockTitle}>{side === "input" ? "Input" : "Output"}</h3>
            {text === "" ? (
              <span className="muted">none</span>
            ) : value !== undefined ? (
              <Json value={value} open={4} />
            ) : (
              <Code text={text} wrap />
            )}
          </section>
        );
      })}
    </div>
  );
}

function Attributes({ span }: { span: Span }) {
  const groups: [string, Record<string, unknown>][] = [
    ["Parameters", span.parameters],
    ["Metadata", span.metadata],
    ["Attributes", span.attributes],
    ["Resource", span.resource],
  ];
  const known: Record<string, unknown> = Object.fromEntries(
    Object.entries({
      trace_id: span.trace_id,
      span_id: span.span_id,
      parent_span_id: span.parent_span_id,
      source: span.source,
      session_id: span.session_id,
      user_id: span.user_id,
      tags: span.tags.join(", "),
      request_id: span.request_id,
      response_id: span.response_id,
      connection_id: span.connection_id,
      cost_source: span.cost_source,
      captured: span.captured,
    }).filter(([, value]) => value !== ""),
  );
  return (
    <div className="stack">
      {([["Octavo", known], ...groups] as [string, Record<string, unknown>][]).map(
        ([title, values]) =>
          Object.keys(values).length > 0 && (
            <section key={title}>
              <h3 className={css.blockTitle}>{title}</h3>
              <dl className={css.attributes}>
                {Object.entries(values).map(([name, value]) => (
                  <div key={name}>
                    <dt className="mono truncate" title={name}>
                      {name}
                    </dt>
                    <dd className="mono">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ),
      )}
    </div>
  );
}

function Events({ span }: { span: Span }) {
  if (span.events.length === 0) return <p className="muted">This span has no events.</p>;
  return (
    <div className="stack">
      {span.events.map((event) => (
        <section key={`${event.name}${event.time}`} className={css.event}>
          <div className="row">
            <Pill tone={event.name === "exception" ? "bad" : "quiet"}>{event.name}</Pill>
            <span className="muted num">{clockTime(event.time)}</span>
          </div>
          {typeof event.attributes["exception.stacktrace"] === "string" && (
            <Code text={event.attributes["exception.stacktrace"]} />
          )}
          {Object.keys(event.attributes).length > 0 && <Json value={event.attributes} open={1} />}
        </section>
      ))}
    </div>
  );
}

export function OpenInPlayground({ traceId, spanId }: { traceId: string; spanId: string }) {
  return (
    <Button
      component={Link}
      to="/playground"
      search={{ trace: traceId, span: spanId } as never}
      variant="default"
      leftSection={<IconPrompt size={14} />}
    >
      Open in playground
    </Button>
  );
}
