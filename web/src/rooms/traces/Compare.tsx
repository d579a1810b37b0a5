/** Chooses the trace to compare with: another of the same name, or any by its id. */
import { ActionIcon, Popover, TextInput, Tooltip } from "@mantine/core";
import { IconGitCompare } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { take, useApi } from "../../api/client";
import type { TraceSummary } from "../../api/types";
import { clause } from "../../shell/filter/filter";
import { StatusDot, Time } from "../../ui/atoms";
import { duration } from "../../ui/format";
import { Loaded } from "../../ui/states";
import css from "./traces.module.css";

export function Compare({ trace }: { trace: TraceSummary }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} width={380} position="bottom-end" trapFocus>
      <Popover.Target>
        <Tooltip label="Compare with another trace">
          <ActionIcon onClick={() => setOpen(!open)} aria-label="Compare with another trace">
            <IconGitCompare size={16} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown>
        <Others trace={trace} />
      </Popover.Dropdown>
    </Popover>
  );
}

/** Of one name, those that ended otherwise first: a failure is compared with what worked. */
function Others({ trace }: { trace: TraceSummary }) {
  const { api, project } = useApi();
  const navigate = useNavigate();
  const [id, setId] = useState("");
  const named = clause("trace_name", "=", trace.name);
  const begun = `${clause("name", "=", trace.name)} and parent_span_id = ""`;
  const query = useQuery({
    queryKey: [project, "alike", trace.name],
    queryFn: () =>
      take(api.GET("/api/v1/traces", { params: { query: { filter: `${named} or (${begun})`, limit: 12 } } })),
  });
  return (
    <div className="stack">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (id.trim())
            void navigate({
              to: "/traces/$traceId/diff/$otherId",
              params: { traceId: trace.trace_id, otherId: id.trim() },
            });
        }}
      >
        <TextInput
          label="Compare with"
          placeholder="id of a trace, then ↵"
          value={id}
          onChange={(event) => setId(event.currentTarget.value)}
          data-autofocus
        />
      </form>
      <Loaded query={query} rows={4}>
        {({ data }) => (
          <ul className={css.alike}>
            {data
              .filter((one) => one.trace_id !== trace.trace_id)
              .sort((one, other) => Number(one.status === trace.status) - Number(other.status === trace.status))
              .map((one) => (
                <li key={one.trace_id}>
                  <Link to="/traces/$traceId/diff/$otherId" params={{ traceId: trace.trace_id, otherId: one.trace_id }}>
                    <StatusDot tone={one.status === "error" ? "bad" : "good"} label={one.status} />
                    <span className="truncate grow">{one.name}</span>
                    <span className="num soft">{duration(one.duration_ms)}</span>
                    <Time value={one.start_time} className="muted" />
                  </Link>
                </li>
              ))}
          </ul>
        )}
      </Loaded>
    </div>
  );
}
