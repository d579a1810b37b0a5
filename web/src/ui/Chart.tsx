/** Time series drawn by ECharts, which is loaded only where a chart is on screen. */
import { lazy, Suspense } from "react";
import type { ChartSpec } from "./chart/draw";
import css from "./ui.module.css";

export type { ChartSpec, Series } from "./chart/draw";

const Drawn = lazy(() => import("./chart/Drawn"));

export function Chart({ spec, height = 180, label }: { spec: ChartSpec; height?: number; label: string }) {
  return (
    <div className={css.chart} style={{ height }} role="img" aria-label={label}>
      <Suspense fallback={null}>
        <Drawn spec={spec} height={height} />
      </Suspense>
    </div>
  );
}
