/** Any measure by any dimension over time: drag to zoom, click a point to read the traces behind it. */
import { SegmentedControl, Select } from "@mantine/core";
import { IconChartLine } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useApi, useKept } from "../../api/client";
import type { MetricsSearch } from "../../router";
import { FilterBar } from "../../shell/filter/FilterBar";
import { SavedViews } from "../../shell/SavedViews";
import { useScope } from "../../shell/scope";
import { PageHead, Panel } from "../../ui/atoms";
import { Chart, type ChartSpec } from "../../ui/Chart";
import { FirstCall } from "../../ui/FirstCall";
import { compact, integer } from "../../ui/format";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";
import { DIMENSIONS, type Explored, explore, type Group, joined, MEASURES, type Measure, SUBJECTS } from "./data";
import css from "./metrics.module.css";

const COLORS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8"];
const STEPS = [
  { value: "auto", label: "auto" },
  { value: "minute", label: "minute" },
  { value: "hour", label: "hour" },
  { value: "day", label: "day" },
];
/** Questions people ask most; each is one click. */
const ASKED: { title: string; search: MetricsSearch }[] = [
  { title: "What got slower?", search: { measure: "latency_p95", by: "model" } },
  { title: "Where does the money go?", search: { measure: "cost_usd", by: "model" } },
  { title: "What fails?", search: { measure: "errors", by: "error_class" } },
  { title: "Did the new version help?", search: { measure: "error_rate", by: "version", of: "traces" } },
  { title: "Who uses most?", search: { measure: "total_tokens", by: "user_id" } },
];

export function Explorer() {
  const { api, project } = useApi();
  const kept = useKept();
  const scope = useScope();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as MetricsSearch;
  const measure = MEASURES.find((one) => one.id === search.measure) ?? (MEASURES[0] as Measure);
  const by = DIMENSIONS.find((one) => one.value === search.by)?.value ?? "";
  const subject = SUBJECTS.find((one) => one.value === search.of) ?? (SUBJECTS[0] as (typeof SUBJECTS)[number]);
  const filter = search.filter ?? "";
  const step = search.step ?? "auto";
  const style = search.style ?? (measure.adds ? "bars" : "lines");
  const where = joined(subject.filter, filter);
  const change = (next: MetricsSearch) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...next })) as never });
  const query = useQuery({
    queryKey: [project, "explore", measure.id, by, where, step, scope.key, "live"],
    queryFn: () =>
      explore(api, { measure, by, filter: where, interval: step, bounds: scope.bounds(), environment: scope.env }),
    placeholderData: kept,
  });
  const toTraces = (group: Group | undefined, from?: number, to?: number) =>
    void navigate({
      to: "/traces",
      search: ((before: { project?: string; env?: string; range?: string; from?: string; to?: string }) => ({
        project: before.project,
        env: before.env,
        ...(from === undefined || to === undefined
          ? { range: before.range, from: before.from, to: before.to }
          : { from: new Date(from).toISOString(), to: new Date(to).toISOString() }),
        filter: behind(group, where, measure) || undefined,
      })) as never,
    });
  return (
    <div className={page.page} style={{ maxWidth: 1600 }}>
      <PageHead title="Metrics" note="Drag over the chart to zoom, click a point for the traces behind it.">
        <SavedViews page="metrics" />
      </PageHead>
      <div className={css.controls}>
        <Select
          aria-label="Measure"
          w={170}
          searchable
          data={MEASURES.map((one) => ({ value: one.id, label: one.title }))}
          value={measure.id}
          onChange={(next) => next && change({ measure: next, style: undefined })}
        />
        <span className="muted">of</span>
        <Select
          aria-label="Of"
          w={130}
          data={SUBJECTS.map(({ value, label }) => ({ value, label }))}
          value={subject.value}
          onChange={(next) => change({ of: next === SUBJECTS[0]?.value ? undefined : (next ?? undefined) })}
        />
        <span className="muted">by</span>
        <Select
          aria-label="Split by"
          w={150}
          searchable
          data={DIMENSIONS}
          value={by}
          onChange={(next) => change({ by: next || undefined })}
        />
        <span className="muted">per</span>
        <Select
          aria-label="Time bucket"
          w={100}
          data={STEPS}
          value={step}
          onChange={(next) => change({ step: next === "auto" ? undefined : (next ?? undefined) })}
        />
        <SegmentedControl
          aria-label="Chart style"
          data={[
            { value: "lines", label: "Lines" },
            { value: "bars", label: "Bars" },
          ]}
          value={style}
          onChange={(next) => change({ style: next })}
        />
        <FilterBar filter={filter} search="" words={false} change={(next) => change({ filter: next.filter })} />
      </div>
      <div className={css.asked}>
        {ASKED.map((one) => (
          <button
            key={one.title}
            type="button"
            onClick={() =>
              change({
                measure: undefined,
                by: undefined,
                of: undefined,
                style: undefined,
                step: undefined,
                ...one.search,
              })
            }
          >
            {one.title}
          </button>
        ))}
      </div>
      <Loaded query={query} rows={8}>
        {(data) =>
          data.groups.length === 0 ? (
            <Panel>
              <Empty icon={IconChartLine} title="Nothing to measure here">
                <p>No spans fit these filters in this range.</p>
                {filter === "" && <FirstCall />}
              </Empty>
            </Panel>
          ) : (
            <Answer
              data={data}
              measure={measure}
              bars={style === "bars"}
              zoom={(from, to) =>
                scope.set({ range: undefined, from: new Date(from).toISOString(), to: new Date(to).toISOString() })
              }
              toTraces={toTraces}
              by={DIMENSIONS.find((one) => one.value === by)?.label ?? ""}
            />
          )
        }
      </Loaded>
      <p className="muted">
        Watch it instead:{" "}
        <Link to="/alerts" search={{ tab: "rules", measure: measure.id, filter: where } as never}>
          make an alert of this measure
        </Link>
        .
      </p>
    </div>
  );
}

/** The traces behind a point: the group's filter, and for errors only what failed. */
function behind(group: Group | undefined, where: string, measure: Measure): string {
  const failed = measure.id === "errors" || measure.id === "error_rate" ? 'status = "error"' : "";
  return joined(where, group?.filter ?? "", failed);
}

function Answer({
  data,
  measure,
  bars,
  zoom,
  toTraces,
  by,
}: {
  data: Explored;
  measure: Measure;
  bars: boolean;
  zoom: (from: number, to: number) => void;
  toTraces: (group: Group | undefined, from?: number, to?: number) => void;
  by: string;
}) {
  const spec: ChartSpec = useMemo(
    () => ({
      from: data.from,
      to: data.to,
      intervalMs: data.intervalMs,
      format: measure.format,
      whole: measure.format === compact || measure.format === integer,
      stack: bars && measure.adds,
      onZoom: zoom,
      onPick: (time, place) => toTraces(place === null ? undefined : data.groups[place], time, time + data.intervalMs),
      series: data.groups.map((group, place) => ({
        name: group.name,
        points: group.points,
        color: COLORS[place] ?? "--s8",
        kind: bars ? "bar" : "line",
      })),
    }),
    [data, measure, bars, zoom, toTraces],
  );
  const most = Math.max(...data.groups.map((group) => group.value ?? 0), 1e-12);
  return (
    <>
      <Panel title={measure.title} note={by ? `by ${by}` : undefined}>
        <Chart spec={spec} height={340} label={measure.title} />
      </Panel>
      <Panel flush>
        <table className={ui.table}>
          <thead>
            <tr>
              <th>{by || "All"}</th>
              <th data-right>{measure.title}</th>
              <th style={{ width: "34%" }} aria-label="Share" />
              <th data-right>Spans</th>
            </tr>
          </thead>
          <tbody>
            {data.groups.map((group, place) => (
              <tr key={group.name}>
                <td>
                  <button type="button" className={css.group} onClick={() => toTraces(group)}>
                    <i style={{ background: `var(${COLORS[place] ?? "--s8"})` }} />
                    {group.name}
                  </button>
                </td>
                <td data-right>{group.value === null ? "–" : measure.format(group.value)}</td>
                <td>
                  <span
                    className={css.share}
                    style={{
                      width: `${((group.value ?? 0) / most) * 100}%`,
                      background: `var(${COLORS[place] ?? "--s8"})`,
                    }}
                  />
                </td>
                <td data-right>{integer(group.calls)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </>
  );
}
