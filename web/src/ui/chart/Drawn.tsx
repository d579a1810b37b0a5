import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { type ChartSpec, cssColor, draw, picked } from "./draw";

use([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

type Chart = ReturnType<typeof init>;

/** Dragging over the chart zooms: the caller puts the new range into the URL. */
function brush(
  chart: Chart,
  zoom: (from: number, to: number) => void,
  pick: (time: number, value: number) => void,
): () => void {
  const dom = chart.getDom();
  let start: number | null = null;
  let band: HTMLDivElement | null = null;
  const x = (event: PointerEvent) => event.clientX - dom.getBoundingClientRect().left;
  const end = () => {
    band?.remove();
    band = null;
    start = null;
  };
  const down = (event: PointerEvent) => {
    if (event.button === 0 && event.pointerType === "mouse") start = x(event);
  };
  const move = (event: PointerEvent) => {
    if (start === null) return;
    const now = x(event);
    if (!band) {
      if (Math.abs(now - start) < 6) return;
      band = document.createElement("div");
      band.style.cssText = `position:absolute;top:10px;bottom:22px;pointer-events:none;border-radius:3px;background:${cssColor("--accent")};opacity:.16`;
      dom.append(band);
    }
    band.style.left = `${Math.min(start, now)}px`;
    band.style.width = `${Math.abs(now - start)}px`;
  };
  const up = (event: PointerEvent) => {
    if (start !== null && band) {
      const [from, to] = [Math.min(start, x(event)), Math.max(start, x(event))].map((pixel) =>
        Number(chart.convertFromPixel({ xAxisIndex: 0 }, pixel)),
      );
      if (from !== undefined && to !== undefined && to - from > 1000) zoom(from, to);
    } else if (start !== null) {
      const y = event.clientY - dom.getBoundingClientRect().top;
      const pixel = [x(event), y];
      if (chart.containPixel({ gridIndex: 0 }, pixel)) {
        const [time, value] = chart.convertFromPixel({ gridIndex: 0 }, pixel) as [number, number];
        pick(time, value);
      }
    }
    end();
  };
  dom.addEventListener("pointerdown", down);
  dom.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  return () => {
    dom.removeEventListener("pointerdown", down);
    dom.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    end();
  };
}

export default function Drawn({ spec, height }: { spec: ChartSpec; height: number }) {
  const scheme = useComputedColorScheme("light");
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const latest = useRef(spec);
  latest.current = spec;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = init(element, undefined, { renderer: "canvas" });
    chart.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(element);
    const stop = brush(
      made,
      (from, to) => latest.current.onZoom?.(from, to),
      (time, value) => {
        const found = picked(latest.current, time, value);
        if (found) latest.current.onPick?.(found.time, found.series);
      },
    );
    return () => {
      stop();
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the document when the scheme changes
  useEffect(() => {
    chart.current?.setOption(draw(spec), { notMerge: true });
  }, [spec, scheme]);

  return <div ref={box} style={{ height, cursor: spec.onZoom ? "crosshair" : undefined }} />;
}
