/** Two traces side by side: what changed in figures, and span by span. */
import { SegmentedControl } from "@mantine/core";
import { IconArrowLeft, IconGitCompare } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { DiffedSpan, TraceSummary } from "../../api/types";
import { KindIcon, PageHead, Panel, Pill, Time, type Tone } from "../../ui/atoms";
import { compact, duration, integer, percent, usd } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import css from "./traces.module.css";

const TONES: Record<string, Tone> = { same: "quiet", changed: "warn", added: "good", removed: "bad" };

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
          <>
            <Link to="/traces/$traceId" params={{ traceId }} aria-label="Back to the trace">
              <IconArrowLeft size={15} />
            </Link>{" "}
            Compare traces
          </>
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
                    {shown.slice(0, 500).map((one, place) => {
                      const span = (one.left ?? one.right) as DiffedSpan;
                      return (
                        // biome-ignore lint/suspicious/noArrayIndexKey: a diff never changes
                        <tr key={place}>
                          <td>
                            <Pill tone={TONES[one.change]}>{one.change}</Pill>
                          </td>
                          <td>
                            <span className="row">
                              <KindIcon kind={span.kind} />
                              {span.name}
                            </span>
                          </td>
                          <td className="soft" data-wrap>
                            {one.fields.join(", ")}
                          </td>
                          <Side trace={traceId} span={one.left} />
                          <Side trace={otherId} span={one.right} />
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
            );
          }}
        </Loaded>
      </Panel>
    </div>
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
              <th key={one.trace_id} data-right>
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
