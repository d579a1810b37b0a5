/** Traces as they arrive, the newest on top, like `tail -f`: filtered, and held still while somebody reads. */
import { Button } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { take, useApi } from "../../api/client";
import type { TraceSummary } from "../../api/types";
import { useKeys } from "../../shell/keys";
import { useScope } from "../../shell/scope";
import { StatusDot } from "../../ui/atoms";
import { plural } from "../../ui/format";
import { Failure, Loading } from "../../ui/states";
import type { Shown } from "./columns";
import { TraceRows } from "./TraceRows";
import css from "./traces.module.css";

const EVERY_MS = 2_000;
const LOOK_BACK_MS = 15 * 60_000; // a trace begins before it arrives
const AT_ONCE = 100;
const KEPT = 500;
const NOTICED_MS = 3_000;

interface Arrived {
  rows: TraceSummary[]; // in the order in which they came
  at: ReadonlyMap<string, number>; // when each came; those there from the start have none
  count: number;
}

/** What came is put on top; what grew since is shown as it is now, where it stands. */
function merge(before: Arrived | null, page: TraceSummary[], now: number): Arrived {
  if (before === null) return { rows: page, at: new Map(), count: 0 };
  const latest = new Map(page.map((one) => [one.trace_id, one]));
  const known = new Set(before.rows.map((one) => one.trace_id));
  const fresh = page.filter((one) => !known.has(one.trace_id));
  const at = new Map([...before.at].filter(([, time]) => now - time < NOTICED_MS));
  for (const one of fresh) at.set(one.trace_id, now);
  const rows = [...fresh, ...before.rows.map((one) => latest.get(one.trace_id) ?? one)].slice(0, KEPT);
  return { rows, at, count: before.count + fresh.length };
}

function useArrivals(filter: string, words: string, scored: boolean) {
  const { api, project } = useApi();
  const { env } = useScope();
  const asked = [project, "tail", env, filter, words, scored];
  const key = JSON.stringify(asked);
  const [arrived, setArrived] = useState<{ key: string; all: Arrived } | null>(null);
  const query = useQuery({
    queryKey: asked,
    queryFn: () =>
      take(
        api.GET("/api/v1/traces", {
          params: {
            query: {
              from: new Date(Date.now() - LOOK_BACK_MS).toISOString(),
              limit: AT_ONCE,
              ...(filter && { filter }),
              ...(words && { search: words }),
              ...(env && { environment: env }),
              ...(scored && { with_scores: true }),
            },
          },
        }),
      ),
    refetchInterval: EVERY_MS,
    gcTime: 0,
  });
  const page = query.data?.data;
  useEffect(() => {
    if (page) setArrived((before) => ({ key, all: merge(before?.key === key ? before.all : null, page, Date.now()) }));
  }, [page, key]);
  return { arrived: arrived?.key === key ? arrived.all : null, error: query.error };
}

export function Tail({ filter, words, scored, columns, height, stop }: Shown & { stop: () => void }) {
  const { arrived, error } = useArrivals(filter, words, scored);
  const [held, hold] = useState<Arrived | null>(null);
  const toggle = () => hold(held ? null : arrived);
  useKeys({ p: toggle });
  if (!arrived) return error ? <Failure error={error} /> : <Loading rows={16} />;
  const shown = held ?? arrived;
  const waiting = arrived.count - shown.count;
  return (
    <>
      <div className={css.tail} role="status">
        <StatusDot tone={error ? "warn" : held ? "quiet" : "good"} pulse={!held && !error} label="tail" />
        <b>{error ? "Not reachable, trying again" : held ? "Paused" : "Live"}</b>
        <span className="soft">{plural(held ? waiting : arrived.count, "new trace")}</span>
        <span className="grow" />
        <Button
          size="compact-xs"
          variant="default"
          leftSection={held ? <IconPlayerPlay size={12} /> : <IconPlayerPause size={12} />}
          onClick={toggle}
        >
          {held ? "Resume" : "Pause"}
        </Button>
        <Button size="compact-xs" variant="subtle" leftSection={<IconX size={12} />} onClick={stop}>
          Stop
        </Button>
      </div>
      <TraceRows
        rows={shown.rows}
        columns={columns}
        height={height}
        footer={shown.rows.length === 0 ? "Waiting for the next trace…" : "The newest of the last 15 minutes"}
        isFresh={(id) => shown.at.has(id)}
      />
    </>
  );
}
