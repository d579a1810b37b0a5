/** The left of the trace page: the spans as waterfall, tree or timeline, searched, folded and walked by keyboard. */
import { ActionIcon, SegmentedControl, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconFold, IconRoute2, IconSearch, IconStack2, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { take, useApi } from "../../api/client";
import type { CriticalPath } from "../../api/types";
import type { TraceSearch } from "../../router";
import { useKeys } from "../../shell/keys";
import { integer, percent, plural } from "../../ui/format";
import { matching, pathTo, type Row, type Tree, visibleRows } from "./model";
import { SpanRows } from "./SpanRows";
import { Timeline } from "./Timeline";
import css from "./traces.module.css";

const VIEWS = [
  { value: "waterfall", label: "Waterfall" },
  { value: "tree", label: "Tree" },
  { value: "timeline", label: "Timeline" },
];
const SOME: ReadonlySet<string> = new Set();
const MANY_SPANS = 60;

function useCriticalPath(traceId: string) {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "critical-path", traceId],
    queryFn: () =>
      take(api.GET("/api/v1/traces/{trace_id}/critical-path", { params: { path: { trace_id: traceId } } })),
    staleTime: 60_000,
    retry: false,
  }).data;
}

/** Spans of this trace whose inputs, outputs or errors hold the words; the server looks. */
function useContent(traceId: string, words: string) {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "within", traceId, words],
    enabled: words.length > 2,
    staleTime: 60_000,
    queryFn: () =>
      take(
        api.GET("/api/v1/spans", {
          params: { query: { filter: `trace_id = "${traceId}"`, search: words, limit: 200 } },
        }),
      ),
  }).data;
}

export function SpanPane({
  traceId,
  tree,
  selected,
  select,
}: {
  traceId: string;
  tree: Tree;
  selected: string | undefined;
  select: (spanId: string) => void;
}) {
  const search = useSearch({ strict: false }) as TraceSearch;
  const navigate = useNavigate();
  const change = (next: TraceSearch) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...next })) as never, replace: true });
  const view = VIEWS.find((one) => one.value === search.view)?.value ?? "waterfall";
  const words = search.find ?? "";
  const [folded, setFolded] = useState(SOME);
  const [opened, setOpened] = useState(SOME);
  const [collapse, setCollapse] = useState(tree.byId.size > MANY_SPANS);
  const [pathOnly, setPathOnly] = useState(false);
  const [cursor, setCursor] = useState<string | undefined>(undefined); // a group in focus
  const path = useCriticalPath(traceId);
  const content = useContent(traceId, words);
  const critical = useMemo(
    () =>
      new Map(
        (path?.steps ?? []).filter((step) => tree.byId.has(step.span_id)).map((step) => [step.span_id, step.share]),
      ),
    [path, tree],
  );
  const found = useMemo(() => {
    if (!words) return null;
    const some = matching(tree, words);
    for (const one of content?.data ?? []) if (tree.byId.has(one.span_id)) some.add(one.span_id);
    return some;
  }, [tree, words, content]);
  const only = found ?? (pathOnly && critical.size > 0 ? new Set(critical.keys()) : null);
  const rows = useMemo(
    () => visibleRows(tree, { folded, opened: collapse ? opened : null, only }),
    [tree, folded, opened, collapse, only],
  );
  const focus = cursor ?? selected;
  const at = rows.findIndex((row) => row.id === focus);

  // A span chosen by link, search or error has to be on screen, so what hides it is opened.
  useEffect(() => {
    if (!selected || !tree.byId.has(selected)) return;
    const { folds, groups } = pathTo(tree, selected);
    setFolded((before) => (folds.some((id) => before.has(id)) ? without(before, folds) : before));
    setOpened((before) => (groups.every((id) => before.has(id)) ? before : new Set([...before, ...groups])));
  }, [selected, tree]);

  const toggle = (row: Row) => {
    if (row.group) setOpened(flipped(opened, row.id));
    else if (row.children > 0) setFolded(flipped(folded, row.id));
  };
  const isOpen = (row: Row) => (row.group ? opened.has(row.id) : row.children > 0 && !folded.has(row.id));
  const focusOn = (row: Row | undefined) => {
    if (!row) return;
    setCursor(row.group ? row.id : undefined);
    if (!row.group) select(row.id);
  };
  const choose = (row: Row) => {
    focusOn(row);
    if (row.group) toggle(row);
  };
  const move = (by: number) => focusOn(rows[Math.max(0, Math.min(rows.length - 1, at + by))]);
  const row = rows[at];
  const jump = (ids: string[], by: number) => {
    if (ids.length === 0) return;
    const place = ids.indexOf(selected ?? "");
    const next = place < 0 ? (by > 0 ? 0 : ids.length - 1) : (place + by + ids.length) % ids.length;
    setCursor(undefined);
    select(ids[next] as string);
  };
  const matches = useMemo(() => (found ? [...tree.byId.keys()].filter((id) => found.has(id)) : []), [found, tree]);
  const input = useRef<HTMLInputElement>(null);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    ArrowRight: () => row && (isOpen(row) ? move(1) : toggle(row)),
    ArrowLeft: () => {
      if (!row) return;
      if (isOpen(row)) toggle(row);
      else focusOn(rows.slice(0, at).findLast((above) => above.depth < row.depth));
    },
    Enter: () => row && toggle(row),
    e: () => jump(tree.errors, 1),
    E: () => jump(tree.errors, -1),
    n: () => jump(matches, 1),
    N: () => jump(matches, -1),
    c: () => setPathOnly(!pathOnly),
    r: () => setCollapse(!collapse),
    "/": () => input.current?.focus(),
    "1": () => change({ view: undefined }),
    "2": () => change({ view: "tree" }),
    "3": () => change({ view: "timeline" }),
  });
  const owner = useMemo(() => ownerOf(path), [path]);
  return (
    <div className={css.waterfall}>
      <div className={css.paneBar}>
        <SegmentedControl
          size="xs"
          data={VIEWS}
          value={view}
          onChange={(next) => change({ view: next === "waterfall" ? undefined : next })}
          aria-label="View"
        />
        <label className={css.find}>
          <IconSearch size={13} />
          <input
            ref={input}
            value={words}
            onChange={(event) => change({ find: event.currentTarget.value || undefined })}
            onKeyDown={(event) => {
              if (event.key === "Enter") jump(matches, event.shiftKey ? -1 : 1);
              if (event.key === "Escape") {
                change({ find: undefined });
                input.current?.blur();
              }
            }}
            placeholder="Find in trace"
            aria-label="Find in trace"
            spellCheck={false}
          />
          {found && (
            <>
              <span className="muted num">{integer(found.size)}</span>
              <button type="button" aria-label="Clear" onClick={() => change({ find: undefined })}>
                <IconX size={12} />
              </button>
            </>
          )}
        </label>
        {tree.errors.length > 0 && (
          <Tooltip label="Next error (e)">
            <button type="button" className={css.errorsButton} onClick={() => jump(tree.errors, 1)}>
              <IconAlertTriangle size={13} /> {integer(tree.errors.length)}
            </button>
          </Tooltip>
        )}
        <Tooltip label="Only the critical path (c)">
          <ActionIcon
            aria-label="Only the critical path"
            aria-pressed={pathOnly}
            data-on={pathOnly}
            disabled={critical.size === 0}
            onClick={() => setPathOnly(!pathOnly)}
          >
            <IconRoute2 size={15} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={collapse ? "Show repeated siblings one by one (r)" : "Collapse repeated siblings (r)"}>
          <ActionIcon
            aria-label="Collapse repeated siblings"
            aria-pressed={collapse}
            data-on={collapse}
            onClick={() => setCollapse(!collapse)}
          >
            <IconStack2 size={15} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={folded.size > 0 ? "Unfold all" : "Fold all"}>
          <ActionIcon
            aria-label={folded.size > 0 ? "Unfold all" : "Fold all"}
            onClick={() => setFolded(folded.size > 0 ? SOME : new Set(tree.children.keys()))}
          >
            <IconFold size={15} />
          </ActionIcon>
        </Tooltip>
      </div>
      {owner && tree.byId.size > 1 && (
        <button type="button" className={css.ownerBar} onClick={() => select(owner.longest)}>
          <IconRoute2 size={13} />
          <span className="truncate">
            <b>{owner.name}</b>
            {owner.times > 1 && ` ×${integer(owner.times)}`} owns the latency
          </span>
          <span className="muted num">
            {percent(owner.share)} of the critical path, {plural(critical.size, "step")}
          </span>
        </button>
      )}
      {view === "timeline" ? (
        <Timeline tree={tree} selected={selected} critical={critical} found={found} choose={select} />
      ) : rows.length === 0 ? (
        <p className={css.noRows}>No span of this trace fits “{words}”.</p>
      ) : (
        <SpanRows
          tree={tree}
          rows={rows}
          mode={view === "tree" ? "tree" : "waterfall"}
          at={at}
          folded={folded}
          opened={opened}
          critical={critical}
          found={found}
          choose={choose}
          toggle={toggle}
        />
      )}
    </div>
  );
}

/** The steps of one name that together take most of the path: a loop's hundred calls own it, not one of them. */
function ownerOf(path: CriticalPath | undefined) {
  const named = new Map<string, { name: string; share: number; times: number; longest: string; most: number }>();
  for (const step of path?.steps ?? []) {
    const key = `${step.kind}\u0000${step.name}`;
    const one = named.get(key) ?? { name: step.name, share: 0, times: 0, longest: step.span_id, most: 0 };
    one.share += step.share;
    one.times++;
    if (step.own_ns > one.most) {
      one.most = step.own_ns;
      one.longest = step.span_id;
    }
    named.set(key, one);
  }
  return [...named.values()].sort((one, other) => other.share - one.share)[0];
}

function flipped(set: ReadonlySet<string>, id: string): Set<string> {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}

function without(set: ReadonlySet<string>, ids: string[]): Set<string> {
  const next = new Set(set);
  for (const id of ids) next.delete(id);
  return next;
}
