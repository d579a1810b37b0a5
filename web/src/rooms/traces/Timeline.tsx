/** All spans of a trace in lanes over time, drawn on a canvas: wheel zooms, dragging moves, a click chooses. */
import { Button, useComputedColorScheme } from "@mantine/core";
import { type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { kindColor } from "../../ui/atoms";
import { duration } from "../../ui/format";
import { type Laned, lanes, type Tree } from "./model";
import css from "./traces.module.css";

const LANE = 20;
const TOP = 24;
const GAP = 2;

interface Window {
  from: number; // ms from the start of the trace
  to: number;
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Timeline({
  tree,
  selected,
  critical,
  found,
  choose,
}: {
  tree: Tree;
  selected: string | undefined;
  critical: ReadonlyMap<string, number>;
  found: ReadonlySet<string> | null;
  choose: (spanId: string) => void;
}) {
  const scheme = useComputedColorScheme("light");
  const laid = useMemo(() => lanes(tree), [tree]);
  const whole = tree.to - tree.from;
  const [view, setView] = useState<Window>({ from: 0, to: whole });
  const [hover, setHover] = useState<{ one: Laned; x: number; y: number } | null>(null);
  const [width, setWidth] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drag = useRef<{ x: number; view: Window; moved: boolean } | null>(null);
  const height = TOP + laid.count * LANE + 8;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(pen, { laid: laid.spans, view, width, height, selected, critical, found, dark: scheme === "dark" });
  }, [laid, view, width, height, selected, critical, found, scheme]);

  const zoom = useCallback(
    (factor: number, at: number) =>
      setView((before) => {
        const centre = before.from + (before.to - before.from) * at;
        const span = Math.min(whole, Math.max(whole / 5000, (before.to - before.from) * factor));
        const from = Math.max(0, Math.min(whole - span, centre - span * at));
        return { from, to: from + span };
      }),
    [whole],
  );
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) < Math.abs(event.deltaY) && event.shiftKey) return;
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(
        Math.exp(event.deltaY * 0.004),
        (event.clientX - element.getBoundingClientRect().left) / element.clientWidth,
      );
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [zoom]);

  const under = (event: PointerEvent): Laned | undefined => {
    const bounds = canvas.current?.getBoundingClientRect();
    if (!bounds) return undefined;
    const lane = Math.floor((event.clientY - bounds.top - TOP) / LANE);
    const time = view.from + ((event.clientX - bounds.left) / width) * (view.to - view.from);
    const slack = ((view.to - view.from) / width) * 2;
    return laid.spans.find(
      (one) => one.lane === lane && time >= one.start - slack && time <= one.start + one.span.duration_ms + slack,
    );
  };
  const move = (event: PointerEvent) => {
    const held = drag.current;
    if (held && Math.abs(event.clientX - held.x) > 3) {
      held.moved = true;
      const span = held.view.to - held.view.from;
      const by = ((event.clientX - held.x) / width) * span;
      const from = Math.max(0, Math.min(whole - span, held.view.from - by));
      setView({ from, to: from + span });
      setHover(null);
      return;
    }
    const one = under(event);
    const bounds = box.current?.getBoundingClientRect();
    setHover(one && bounds ? { one, x: event.clientX - bounds.left, y: event.clientY - bounds.top } : null);
  };
  const zoomed = view.to - view.from < whole * 0.999;
  return (
    <div className={css.timelineBox}>
      <div
        ref={box}
        className={css.timeline}
        role="application"
        aria-label="Timeline of the trace"
        onPointerDown={(event) => {
          drag.current = { x: event.clientX, view, moved: false };
        }}
        onPointerMove={move}
        onPointerUp={(event) => {
          const held = drag.current;
          drag.current = null;
          const one = held && !held.moved ? under(event) : undefined;
          if (one) choose(one.span.span_id);
        }}
        onPointerLeave={() => {
          drag.current = null;
          setHover(null);
        }}
        onDoubleClick={(event) =>
          zoom(0.4, (event.clientX - event.currentTarget.getBoundingClientRect().left) / Math.max(1, width))
        }
      >
        <canvas ref={canvas} style={{ width, height }} data-hover={hover !== null} />
        {hover && (
          <div
            className={css.timelineTip}
            style={{ left: Math.min(hover.x + 12, Math.max(0, width - 240)), top: hover.y + 16 }}
          >
            <b>{hover.one.span.name}</b>
            <span className="soft num">
              {duration(hover.one.span.duration_ms)} · starts at {duration(hover.one.start)}
              {hover.one.span.status === "error" && ` · ${hover.one.span.error_class || "error"}`}
            </span>
          </div>
        )}
      </div>
      <div className={css.timelineFoot}>
        <span className="muted">Double-click or ⌘ scroll to zoom, drag to move</span>
        <span className="grow" />
        <Button size="compact-xs" variant="default" onClick={() => zoom(0.5, 0.5)} aria-label="Zoom in">
          +
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => zoom(2, 0.5)}
          disabled={!zoomed}
          aria-label="Zoom out"
        >
          −
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => setView({ from: 0, to: whole })} disabled={!zoomed}>
          Whole trace
        </Button>
      </div>
    </div>
  );
}

interface Drawing {
  laid: Laned[];
  view: Window;
  width: number;
  height: number;
  selected: string | undefined;
  critical: ReadonlyMap<string, number>;
  found: ReadonlySet<string> | null;
  dark: boolean;
}

function draw(pen: CanvasRenderingContext2D, given: Drawing): void {
  const { laid, view, width, height, selected, critical, found, dark } = given;
  const scale = width / (view.to - view.from);
  const colors = new Map<string, string>();
  const colorOf = (kind: string) => {
    const name = kindColor(kind).replace(/^var\(|\)$/g, "");
    if (!colors.has(name)) colors.set(name, token(name));
    return colors.get(name) as string;
  };
  const [bad, line, quiet, accent, warn] = [
    token("--bad"),
    token("--line"),
    token("--ink-3"),
    token("--ink"),
    token("--warn"),
  ];
  pen.clearRect(0, 0, width, height);
  pen.font = "11px Inter Variable, Inter, system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (let at = 0; at <= 4; at++) {
    const x = (width * at) / 4;
    pen.fillStyle = line;
    pen.fillRect(Math.min(width - 1, x), TOP - 6, 1, height);
    pen.fillStyle = quiet;
    pen.textAlign = at === 0 ? "left" : at === 4 ? "right" : "center";
    pen.fillText(duration(view.from + ((view.to - view.from) * at) / 4), at === 0 ? 6 : at === 4 ? width - 6 : x, 10);
  }
  pen.textAlign = "left";
  for (const { span, lane, start } of failedLast(laid, selected)) {
    const x = (start - view.from) * scale;
    const w = Math.max(error(span) ? 3 : 1.5, span.duration_ms * scale - (span.duration_ms * scale > 4 ? 1 : 0));
    if (x > width || x + w < 0) continue;
    const y = TOP + lane * LANE;
    pen.globalAlpha = found !== null && !found.has(span.span_id) ? 0.16 : error(span) ? 1 : 0.85;
    pen.fillStyle = error(span) ? bad : colorOf(span.kind);
    pen.fillRect(x, y, w, LANE - GAP);
    if (critical.has(span.span_id)) {
      pen.fillStyle = warn;
      pen.fillRect(x, y + LANE - GAP - 3, w, 3);
    }
    if (span.span_id === selected) {
      pen.globalAlpha = 1;
      pen.strokeStyle = accent;
      pen.lineWidth = 2;
      pen.strokeRect(x - 1, y - 1, w + 2, LANE - GAP + 2);
    }
    const left = Math.max(x, 0);
    const room = Math.min(x + w, width) - left - 8;
    if (room > 26) {
      pen.globalAlpha = 1;
      pen.fillStyle = dark ? "#10131b" : "#ffffff";
      pen.fillText(fit(pen, span.name, room), left + 4, y + (LANE - GAP) / 2);
    }
  }
  pen.globalAlpha = 1;
}

function error(span: Laned["span"]): boolean {
  return span.status === "error";
}

/** What failed and what is chosen is drawn over its neighbours, so that it shows in the densest trace. */
function failedLast(laid: Laned[], selected: string | undefined): Laned[] {
  const rank = (one: Laned) => (one.span.span_id === selected ? 2 : error(one.span) ? 1 : 0);
  return [...laid].sort((one, other) => rank(one) - rank(other));
}

/** As much of a name as there is room for: 6 px a letter is a safe guess, measuring 5,000 texts is slow. */
function fit(pen: CanvasRenderingContext2D, text: string, room: number): string {
  const letters = Math.floor(room / 5.6);
  if (text.length <= letters || pen.measureText(text).width <= room) return text;
  return letters > 2 ? `${text.slice(0, letters - 1)}…` : "";
}
