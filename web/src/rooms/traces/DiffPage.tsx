/** Two traces side by side: what changed in figures, and span by span. */
import { ActionIcon, SegmentedControl } from "@mantine/core";
import { IconArrowLeft, IconChevronDown, IconChevronRight, IconGitCompare } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { DiffedSpan, SpanPair, TraceSummary } from "../../api/types";
import { KindIcon, PageHead, Panel, Pill, Time, type Tone } from "../../ui/atoms";
import { compact, duration, integer, percent, usd } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { Conversation, useSpan } from "./Content";
import css from "./traces.module.css";

const TONES: Record<string, Tone> = { same: "quiet", changed: "warn", added: "good", removed: "bad" };

const MOST = 500;

export function DiffPage() {
  const { traceId, otherId } = useParams({ strict: false }) as { traceId: string; otherId: string };
  const { api, project } = useApi();
  const [only, setOnly] = useState("differences");
  const useTrace = (id: string) =>
    useQuery({
      queryKey: [project, "trace", id],
      queryFn: () => take(api.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id: id } } })),
    });
  const left = useTrace(traceId);
  const right = useTrace(otherId);
  const diff = useQuery({
    queryKey: [project, "diff", traceId, otherId],
    queryFn: () =>
      take(
        api.GET("/api/v1/traces/{trace_id}/diff/{other_id}", {
          params: { path: { trace_id: traceId, other_id: otherId } },
        }),
      ),
    retry: false,
  });
  return (
    <div className={page.page}>
      <PageHead
        title={
          <span className="row">
            <ActionIcon
              component={Link}
              to="/traces/$traceId"
              params={{ traceId } as never}
              aria-label="Back to the trace"
            >
              <IconArrowLeft size={16} />
            </ActionIcon>
            <span>Compare traces</span>
          </span>
        }
      />
      <Loaded query={left} rows={3}>
        {(one) => (
          <Loaded query={right} rows={3}>
            {(other) => <Figures left={one.trace} right={other.trace} />}
          </Loaded>
        )}
      </Loaded>
      <Panel
        title="Spans"
        flush
        actions={
          <SegmentedControl
            size="xs"
            value={only}
            onChange={setOnly}
            data={[
              { value: "differences", label: "Differences" },
              { value: "all", label: "All" },
            ]}
          />
        }
      >
        <Loaded query={diff} rows={8}>
          {(data) => {
            const shown = data.spans.filter((one) => only === "all" || one.change !== "same");
            if (shown.length === 0)
              return (
                <Empty icon={IconGitCompare} title="The two do the same">
                  All {integer(data.spans.length)} spans fit each other; only times and ids differ.
                </Empty>
              );
            return (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>Change</th>
                      <th>Span</th>
                      <th>What</th>
                      <th data-right>Left</th>
                      <th data-right>Right</th>
                    </tr>
                  </thead>
                  <tbody>
                    {shown.slice(0, MOST).map((pair, place) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: a diff never changes
                      <PairRows key={place} pair={pair} left={traceId} right={otherId} />
                    ))}
                  </tbody>
                </table>
                {shown.length > MOST && (
                  <p className={css.noRows}>
                    The first {integer(MOST)} of {integer(shown.length)}.
                  </p>
                )}
              </div>
            );
          }}
        </Loaded>
      </Panel>
    </div>
  );
}

/** A span and its counterpart; opened, what both were given and said stands side by side. */
function PairRows({ pair, left, right }: { pair: SpanPair; left: string; right: string }) {
  const [opened, open] = useState(false);
  const span = (pair.left ?? pair.right) as DiffedSpan;
  return (
    <>
      <tr>
        <td>
          <Pill tone={TONES[pair.change]}>{pair.change}</Pill>
        </td>
        <td>
          <button type="button" className={css.pairToggle} aria-expanded={opened} onClick={() => open(!opened)}>
            {opened ? <IconChevronDown size={13} /> : <IconChevronRight size={13} />}
            <KindIcon kind={span.kind} />
            {span.name}
          </button>
        </td>
        <td className="soft" data-wrap>
          {pair.fields
            .filter((field) => field !== "error_class" || !pair.fields.includes("status"))
            .map((field) => (
              <span key={field} className={css.changed}>
                {told(field, pair)}
              </span>
            ))}
        </td>
        <Side trace={left} span={pair.left} />
        <Side trace={right} span={pair.right} />
      </tr>
      {opened && (
        <tr>
          <td colSpan={5} className={css.pairCell}>
            <div className={css.pair}>
              <Content trace={left} span={pair.left} />
              <Content trace={right} span={pair.right} />
            </div>
          </td>
        </tr>
      )}
    </>
  );
}

/** How a field changed, in words. */
function told(field: string, { left, right }: SpanPair): string {
  if (!left || !right) return field;
  const both = (title: string, one: string, other: string) => `${title} ${one || "none"} → ${other || "none"}`;
  switch (field) {
    case "duration_ms":
      return `latency ${change(left.duration_ms, right.duration_ms)}`;
    case "total_tokens":
      return both("tokens", compact(left.total_tokens), compact(right.total_tokens));
    case "cost_nano":
      return both("cost", left.cost_usd ? usd(left.cost_usd) : "", right.cost_usd ? usd(right.cost_usd) : "");
    case "model":
      return both("model", left.model, right.model);
    case "status":
      return right.status === "error" ? "fails on the right only" : "fails on the left only";
    default:
      return field.replace("_", " ");
  }
}

function Content({ trace, span }: { trace: string; span: DiffedSpan | null }) {
  const query = useSpan(trace, span?.span_id ?? "");
  if (!span) return <p className="muted">Not in this trace.</p>;
  return (
    <Loaded query={query} rows={4}>
      {(whole) => (
        <div className={css.pairSide}>
          {whole.status_message && <div className={css.errorBox}>{whole.status_message}</div>}
          <Conversation span={whole} />
        </div>
      )}
    </Loaded>
  );
}

function Side({ trace, span }: { trace: string; span: DiffedSpan | null }) {
  return (
    <td data-right>
      {span ? (
        <Link to="/traces/$traceId" params={{ traceId: trace }} search={{ span: span.span_id } as never}>
          {duration(span.duration_ms)}
        </Link>
      ) : (
        <span className="muted">–</span>
      )}
    </td>
  );
}

function Figures({ left, right }: { left: TraceSummary; right: TraceSummary }) {
  const rows: [string, number | null, number | null, (value: number) => string][] = [
    ["Latency", left.duration_ms, right.duration_ms, duration],
    ["First token", left.ttft_ms, right.ttft_ms, duration],
    ["Input tokens", left.input_tokens, right.input_tokens, compact],
    ["Output tokens", left.output_tokens, right.output_tokens, compact],
    [
      "Cost",
      left.cost_usd === null ? null : Number(left.cost_usd),
      right.cost_usd === null ? null : Number(right.cost_usd),
      usd,
    ],
    ["Spans", left.span_count, right.span_count, integer],
    ["Errors", left.error_count, right.error_count, integer],
  ];
  return (
    <Panel flush>
      <table className={ui.table}>
        <thead>
          <tr>
            <th />
            {[left, right].map((one) => (
              <th key={one.trace_id} data-right data-wrap>
                <Link to="/traces/$traceId" params={{ traceId: one.trace_id }}>
                  {one.name} <span className="mono">{one.trace_id.slice(0, 8)}</span>
                </Link>{" "}
                <Time value={one.start_time} />
              </th>
            ))}
            <th data-right>Change</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([title, one, other, format]) => (
            <tr key={title}>
              <td>{title}</td>
              <td data-right>{one === null ? "–" : format(one)}</td>
              <td data-right>{other === null ? "–" : format(other)}</td>
              <td data-right className={css.change} data-up={one !== null && other !== null && other > one * 1.02}>
                {change(one, other)}
              </td>
            </tr>
          ))}
          <tr>
            <td>Models</td>
            <td data-right>{left.models.join(", ") || "–"}</td>
            <td data-right>{right.models.join(", ") || "–"}</td>
            <td />
          </tr>
        </tbody>
      </table>
    </Panel>
  );
}

function change(one: number | null, other: number | null): string {
  if (one === null || other === null || one === other) return "–";
  if (one === 0) return "new";
  const share = (other - one) / one;
  return `${share > 0 ? "+" : "−"}${percent(Math.abs(share))}`;
}
