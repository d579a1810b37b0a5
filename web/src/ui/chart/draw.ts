/** A chart's description, and its translation into ECharts' terms. */
import type { EChartsOption } from "echarts";

export interface Series {
  name: string;
  points: [number, number | null][];
  color: string; // a CSS variable's name
  kind?: "line" | "bar" | "area" | "limit";
}

export interface ChartSpec {
  series: Series[];
  format: (value: number) => string;
  from: number;
  to: number;
  stack?: boolean;
  /** Whether values are counts, so that the axis has whole numbers only. */
  whole?: boolean;
  intervalMs?: number;
  onZoom?: (from: number, to: number) => void;
  /** A click: the bucket's time, and the place of the series under the pointer. */
  onPick?: (time: number, series: number | null) => void;
}

/** The bucket and the series that a click at a time and a value is about. */
export function picked(spec: ChartSpec, time: number, value: number): { time: number; series: number | null } | null {
  const times = spec.series[0]?.points.map(([at]) => at) ?? [];
  let nearest = -1;
  for (let place = 0; place < times.length; place++)
    if (nearest < 0 || Math.abs((times[place] as number) - time) < Math.abs((times[nearest] as number) - time))
      nearest = place;
  if (nearest < 0) return null;
  let series: number | null = null;
  let best = Number.POSITIVE_INFINITY;
  let floor = 0;
  spec.series.forEach((one, place) => {
    const here = one.points[nearest]?.[1] ?? null;
    if (here === null) return;
    const distance = spec.stack ? (value >= floor && value <= floor + here ? 0 : 1) : Math.abs(here - value);
    floor += here;
    if (distance < best && (!spec.stack || distance === 0)) {
      best = distance;
      series = place;
    }
  });
  return { time: times[nearest] as number, series };
}

export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const at = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });

function html(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}

export function draw(spec: ChartSpec): EChartsOption {
  const line = cssColor("--line");
  const quiet = cssColor("--ink-3");
  const sans = "Inter Variable, Inter, system-ui, sans-serif";
  return {
    animation: false,
    textStyle: { fontFamily: sans },
    grid: { left: 46, right: 8, top: 10, bottom: 22 },
    brush: undefined,
    xAxis: {
      type: "time",
      min: Math.min(spec.from, spec.series[0]?.points[0]?.[0] ?? spec.from), // the first bucket may begin before
      max: spec.to,
      axisLine: { lineStyle: { color: line } },
      axisTick: { show: false },
      splitLine: { show: false },
      axisLabel: {
        color: quiet,
        fontSize: 10.5,
        hideOverlap: true,
        formatter: {
          year: "{yyyy}",
          month: "{d} {MMM}",
          day: "{d} {MMM}",
          hour: "{HH}:{mm}",
          minute: "{HH}:{mm}",
          second: "{HH}:{mm}:{ss}",
        },
      },
      splitNumber: 5,
    },
    yAxis: {
      type: "value",
      min: 0,
      minInterval: spec.whole ? 1 : undefined,
      splitNumber: 3,
      axisLabel: { color: quiet, fontSize: 10.5, formatter: (value: number) => spec.format(value) },
      splitLine: { lineStyle: { color: line, type: [3, 4] } },
    },
    tooltip: {
      trigger: "axis",
      confine: true,
      transitionDuration: 0,
      backgroundColor: cssColor("--raised"),
      borderColor: cssColor("--line-strong"),
      padding: [8, 10],
      textStyle: { color: cssColor("--ink"), fontSize: 12, fontFamily: sans },
      axisPointer: { type: "line", lineStyle: { color: cssColor("--line-strong") } },
      formatter: (given: unknown) => {
        const rows = (Array.isArray(given) ? given : [given]) as {
          seriesName: string;
          color: string;
          value: [number, number | null];
        }[];
        const first = rows[0];
        if (!first) return "";
        const lines = rows
          .filter((row) => row.value[1] !== null && (!spec.stack || row.value[1] !== 0))
          .map(
            (row) =>
              `<div style="display:flex;gap:8px;align-items:center;line-height:1.7"><i style="width:8px;height:8px;border-radius:2px;background:${row.color}"></i><span style="flex:1">${html(row.seriesName)}</span><b style="font-variant-numeric:tabular-nums;font-weight:550;padding-left:14px">${html(spec.format(row.value[1] ?? 0))}</b></div>`,
          );
        return `<div style="color:${quiet};margin-bottom:2px">${at.format(first.value[0])}</div>${lines.join("") || "no calls"}`;
      },
    },
    series: spec.series.map((one) => {
      const color = cssColor(one.color);
      if (one.kind === "bar")
        return {
          type: "bar" as const,
          name: one.name,
          data: one.points,
          stack: spec.stack ? "all" : undefined,
          itemStyle: { color },
          barMaxWidth: 14,
          barCategoryGap: "25%",
          emphasis: { disabled: true },
        };
      return {
        type: "line" as const,
        name: one.name,
        data: one.points,
        stack: spec.stack ? "all" : undefined,
        showSymbol: one.kind !== "limit" && one.points.filter(([, value]) => value !== null).length < 24,
        symbol: "circle",
        symbolSize: 4.5,
        smooth: 0.2,
        smoothMonotone: "x" as const,
        connectNulls: !spec.stack,
        lineStyle: one.kind === "limit" ? { color, width: 1.2, type: "dashed" as const } : { color, width: 1.6 },
        itemStyle: { color },
        areaStyle: one.kind === "area" ? { color, opacity: 0.12 } : undefined,
        emphasis: { disabled: true },
      };
    }),
  };
}
