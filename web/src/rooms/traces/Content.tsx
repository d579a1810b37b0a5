/** What went into a span and came out of it, as people read it: messages, documents, or JSON. */
import { IconPrompt } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { take, useApi } from "../../api/client";
import type { Span } from "../../api/types";
import { Pill } from "../../ui/atoms";
import { Json, parseJson } from "../../ui/code";
import { conversation, type Message, textParts } from "../../ui/conversation";
import { Empty } from "../../ui/states";
import { Files } from "./Files";
import { Messages } from "./Messages";
import css from "./traces.module.css";

/** A span with all that it carries. */
export function useSpan(traceId: string, spanId: string) {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "span", traceId, spanId],
    enabled: spanId !== "",
    queryFn: () =>
      take(api.GET("/api/v1/spans/{span_id}", { params: { path: { span_id: spanId }, query: { trace_id: traceId } } })),
    staleTime: 60_000,
  });
}

export function NoContent({ span }: { span: Span }) {
  return (
    <Empty icon={IconPrompt} title="No content was kept">
      {span.captured === "full"
        ? "This span carries neither input nor output."
        : `The project captures ${span.captured === "metadata" ? "metadata only" : "nothing but the count"}. Change it under Project settings; it holds for new calls.`}
    </Empty>
  );
}

export function Conversation({ span }: { span: Span }) {
  if (!span.input && !span.output && !span.documents) return <NoContent span={span} />;
  const asked = conversation(span.input, "user");
  const answered = conversation(span.output, "assistant");
  return (
    <div className="stack">
      {asked ? <Messages messages={asked} /> : span.input && <Block title="Input" text={span.input} speaker="user" />}
      {span.documents && <Documents text={span.documents} />}
      {answered ? (
        <Messages messages={answered} />
      ) : (
        span.output && (
          <Block title="Output" text={span.output} speaker={span.kind === "llm" ? "assistant" : "output"} />
        )
      )}
      <Files span={span} messages={[...(asked ?? plain(span.input)), ...(answered ?? plain(span.output))]} />
      {span.tools && (
        <details className={css.card}>
          <summary>Tools offered</summary>
          <div className={css.cardBody}>
            <Json value={parseJson(span.tools) ?? span.tools} open={2} />
          </div>
        </details>
      )}
    </div>
  );
}

function plain(text: string): Message[] {
  return parseJson(text) === undefined ? [{ role: "", parts: textParts(text) }] : [];
}

function Block({ title, text, speaker }: { title: string; text: string; speaker: string }) {
  const value = parseJson(text);
  if (value === undefined) return <Messages messages={[{ role: speaker, parts: textParts(text) }]} />;
  return (
    <section>
      <h3 className={css.blockTitle}>{title}</h3>
      <Json value={value} />
    </section>
  );
}

interface Document {
  id?: unknown;
  score?: unknown;
  text?: unknown;
  content?: unknown;
}

function Documents({ text }: { text: string }) {
  const value = parseJson(text);
  if (!Array.isArray(value)) return <Block title="Documents" text={text} speaker="documents" />;
  return (
    <section>
      <h3 className={css.blockTitle}>{value.length} documents</h3>
      <div className="stack" style={{ gap: 6 }}>
        {(value as Document[]).map((one, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: documents come in rank order and never move
          <div key={place} className={css.document}>
            <div className="row">
              <b className="mono">{String(one.id ?? place + 1)}</b>
              <span className="grow" />
              {typeof one.score === "number" && <Pill>{one.score.toFixed(3)}</Pill>}
            </div>
            <div>{String(one.text ?? one.content ?? JSON.stringify(one))}</div>
          </div>
        ))}
      </div>
    </section>
  );
}
