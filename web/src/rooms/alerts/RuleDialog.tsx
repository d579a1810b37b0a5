/** Makes or changes a rule, and shows on the last hours whether it would have fired. */
import { Button, Modal, MultiSelect, NumberInput, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { AlertRule, RuleBody, RulePreview } from "../../api/types";
import { useScope } from "../../shell/scope";
import { Pill } from "../../ui/atoms";
import { Chart } from "../../ui/Chart";
import page from "../../ui/page.module.css";
import { CHOICES, formatOf, titleOf, unitOf, usualOf } from "./measures";
import { useChannels } from "./queries";

export function RuleDialog({
  rule,
  measure,
  filter,
  close,
}: {
  rule: AlertRule | undefined;
  measure: string | undefined;
  filter: string | undefined;
  close: () => void;
}) {
  const { api, project } = useApi();
  const scope = useScope();
  const queries = useQueryClient();
  const channels = useChannels();
  const environments = useQuery({
    queryKey: [project, "environments"],
    queryFn: () => take(api.GET("/api/v1/environments")),
  });
  const watchedAtFirst = CHOICES.find((one) => one.value === measure)?.value ?? "error_rate";
  const [body, setBody] = useState<RuleBody>(
    rule ?? {
      name: "",
      measure: watchedAtFirst,
      filter: filter ?? "",
      environment: scope.env,
      window_minutes: 5,
      direction: "above",
      threshold: /\bsignature\b/.test(filter ?? "") ? 0 : usualOf(watchedAtFirst), // of one failure, each counts
      channel_ids: [],
      enabled: true,
    },
  );
  const set = (next: Partial<RuleBody>) => setBody({ ...body, ...next });
  const {
    name,
    measure: watched,
    filter: where,
    environment,
    window_minutes,
    direction,
    threshold,
    channel_ids,
    enabled,
  } = body;
  const sent = {
    name,
    measure: watched,
    filter: where,
    environment,
    window_minutes,
    direction,
    threshold,
    channel_ids,
    enabled,
  };
  const [asked] = useDebouncedValue(sent, 400);
  const preview = useQuery({
    queryKey: [project, "rule-preview", asked],
    queryFn: () =>
      take(
        api.POST("/api/v1/alert-rules/preview", { body: { ...asked, name: asked.name || "preview" } }),
      ) as Promise<RulePreview>,
    retry: false,
  });
  const save = useMutation({
    mutationFn: () =>
      rule
        ? take(api.PATCH("/api/v1/alert-rules/{rule_id}", { params: { path: { rule_id: rule.id } }, body: sent }))
        : take(api.POST("/api/v1/alert-rules", { body: sent })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project, "alert-rules"] });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={close} title={rule ? "Change the rule" : "New rule"} size={620}>
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Name"
          placeholder="Errors in production"
          value={name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          required
          data-autofocus
        />
        <div className={page.two}>
          <Select
            label="Measure"
            data={CHOICES}
            value={watched}
            onChange={(next) => next && set({ measure: next, threshold: usualOf(next) })}
            searchable
          />
          <Select
            label="Environment"
            data={[
              { value: "", label: "all" },
              ...(environments.data?.data ?? []).map((one) => ({ value: one.name, label: one.name })),
            ]}
            value={environment}
            onChange={(next) => set({ environment: next ?? "" })}
          />
        </div>
        <TextInput
          label="Filter"
          placeholder='all spans; e.g. kind = "llm" and model = "gpt-4.1"'
          value={where}
          onChange={(event) => set({ filter: event.currentTarget.value })}
        />
        <div className={page.three}>
          <Select
            label="Fires when it is"
            data={["above", "below"]}
            value={direction}
            onChange={(next) => next && set({ direction: next as "above" | "below" })}
          />
          <NumberInput
            label={`Threshold (${unitOf(watched)})`}
            value={threshold}
            onChange={(next) => set({ threshold: Number(next) })}
            step={watched === "error_rate" ? 0.01 : 1}
            required
          />
          <NumberInput
            label="Over (minutes)"
            value={window_minutes}
            min={1}
            max={1440}
            onChange={(next) => set({ window_minutes: Number(next) || 1 })}
            required
          />
        </div>
        <MultiSelect
          label="Notify"
          placeholder={channel_ids.length === 0 ? "nobody; the incident shows here" : ""}
          data={(channels.data?.data ?? []).map((one) => ({ value: one.id, label: one.name }))}
          value={channel_ids}
          onChange={(next) => set({ channel_ids: next })}
        />
        <Preview preview={preview.data} error={preview.error} rule={sent} />
        {save.error && (
          <div className={page.result} data-ok="false" role="alert">
            {save.error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            {rule ? "Save" : "Create rule"}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Preview({ preview, error, rule }: { preview: RulePreview | undefined; error: Error | null; rule: RuleBody }) {
  if (error) return <div className="muted">{error.message}</div>;
  if (!preview) return <div style={{ height: 150 }} />;
  const format = formatOf(rule.measure);
  const points = preview.series.map(([time, value]): [number, number | null] => [Date.parse(time), value]);
  const from = points[0]?.[0] ?? 0;
  const to = points.at(-1)?.[0] ?? 1;
  return (
    <div>
      <div className="row">
        <span className="muted">Now</span>
        <b className="num">{preview.value === null ? "no data" : format(preview.value)}</b>
        <Pill tone={preview.would_fire ? "bad" : "good"}>{preview.would_fire ? "would fire" : "would not fire"}</Pill>
      </div>
      {points.length > 1 && (
        <Chart
          height={130}
          label={`${titleOf(rule.measure)} of late`}
          spec={{
            from,
            to,
            format,
            series: [
              { name: titleOf(rule.measure), color: "--s1", points },
              {
                name: "threshold",
                color: "--s5",
                kind: "limit",
                points: [
                  [from, rule.threshold],
                  [to, rule.threshold],
                ],
              },
            ],
          }}
        />
      )}
    </div>
  );
}
