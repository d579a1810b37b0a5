/** What people and evaluators say of a trace or span: scores by config or free, and comments. */
import { ActionIcon, Button, NumberInput, SegmentedControl, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { IconMessage, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { Comment, Score, ScorePage, ScoreType } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { Pill, Time } from "../../ui/atoms";
import { Empty, Loaded } from "../../ui/states";
import css from "./traces.module.css";

export function scoreText(score: Pick<Score, "value" | "string_value" | "data_type">): string {
  if (score.data_type === "BOOLEAN")
    return score.value === 1 ? "yes" : score.value === 0 ? "no" : score.string_value || "–";
  if (score.string_value) return score.string_value;
  return score.value === null ? "–" : String(Math.round(score.value * 1000) / 1000);
}

export function useScores(traceId: string) {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "scores", traceId],
    queryFn: () => take(api.GET("/api/v1/scores", { params: { query: { trace_id: traceId, limit: 200 } } })),
    retry: false,
  });
}

function useComments(traceId: string) {
  const { api, project } = useApi();
  return useQuery({
    queryKey: [project, "comments", traceId],
    queryFn: () => take(api.GET("/api/v1/comments", { params: { query: { trace_id: traceId } } })),
    retry: false,
  });
}

export function Feedback({ traceId, spanId, isRoot }: { traceId: string; spanId: string; isRoot: boolean }) {
  const [on, setOn] = useState<"trace" | "span">(isRoot ? "trace" : "span");
  const target = on === "span" ? spanId : undefined;
  return (
    <div className="stack">
      <div className="row">
        <span className="muted">About</span>
        <SegmentedControl
          size="xs"
          value={on}
          onChange={(next) => setOn(next as "trace" | "span")}
          data={[
            { value: "trace", label: "the whole trace" },
            { value: "span", label: "this span" },
          ]}
        />
      </div>
      <Scores traceId={traceId} spanId={target} />
      <Comments traceId={traceId} spanId={target} />
    </div>
  );
}

function about(target: string | undefined) {
  return (one: { span_id: string }) => (target ? one.span_id === target : !one.span_id);
}

function Scores({ traceId, spanId }: { traceId: string; spanId: string | undefined }) {
  const { api, project } = useApi();
  const { may } = useHere();
  const queries = useQueryClient();
  const scores = useScores(traceId);
  // A score is stored a moment after it was taken in, so what was done here is shown at once and not asked again.
  const show = (change: (before: Score[]) => Score[]) =>
    queries.setQueryData<ScorePage>([project, "scores", traceId], (before) => ({
      next_cursor: before?.next_cursor ?? null,
      data: change(before?.data ?? []),
    }));
  const remove = useMutation({
    mutationFn: (score: Score) =>
      take(api.DELETE("/api/v1/scores/{score_id}", { params: { path: { score_id: score.id } } })),
    onSuccess: (_, gone) => show((before) => before.filter((one) => one.id !== gone.id)),
  });
  return (
    <section className="stack" aria-label="Scores" style={{ gap: 8 }}>
      <h3 className={css.blockTitle}>Scores</h3>
      <Loaded query={scores} rows={2}>
        {({ data }) => (
          <>
            {data.filter(about(spanId)).map((score) => (
              <div key={score.id} className={css.score}>
                <b>{score.name}</b>
                <Pill tone={toneOf(score)}>{scoreText(score)}</Pill>
                <span className="truncate soft grow" title={score.comment}>
                  {score.comment}
                </span>
                <span className="muted">{score.source.toLowerCase()}</span>
                <Time value={score.time} className="muted" />
                {score.source === "ANNOTATION" && may("scores.write") && (
                  <ActionIcon size={20} aria-label={`Remove score ${score.name}`} onClick={() => remove.mutate(score)}>
                    <IconTrash size={13} />
                  </ActionIcon>
                )}
              </div>
            ))}
            {may("scores.write") && (
              <Annotate
                traceId={traceId}
                spanId={spanId}
                done={(made) => show((before) => [made, ...before.filter((one) => one.id !== made.id)])}
              />
            )}
          </>
        )}
      </Loaded>
    </section>
  );
}

function toneOf(score: Score): "good" | "bad" | "accent" {
  if (score.data_type === "BOOLEAN") return score.value === 1 ? "good" : "bad";
  return "accent";
}

const FREE = "";

function Annotate({
  traceId,
  spanId,
  done,
}: {
  traceId: string;
  spanId: string | undefined;
  done: (made: Score) => unknown;
}) {
  const { api, project } = useApi();
  const configs = useQuery({
    queryKey: [project, "score-configs"],
    queryFn: () => take(api.GET("/api/v1/score-configs")),
    retry: false,
    staleTime: 60_000,
  });
  const list = (configs.data?.data ?? []).filter((one) => !one.is_archived);
  const [configId, setConfigId] = useState(FREE);
  const [name, setName] = useState("");
  const [type, setType] = useState<ScoreType>("NUMERIC");
  const [value, setValue] = useState<string | number>("");
  const [comment, setComment] = useState("");
  const config = list.find((one) => one.id === configId);
  const kind = config?.data_type ?? type;
  const save = useMutation({
    mutationFn: () =>
      take(
        api.POST("/api/v1/scores", {
          body: {
            id: "",
            trace_id: traceId,
            span_id: spanId ?? "",
            session_id: "",
            environment: "",
            name: config?.name ?? name,
            value: kind === "BOOLEAN" ? value === 1 : value,
            data_type: kind,
            comment,
            config_id: config?.id ?? "",
          },
        }),
      ),
    onSuccess: (made) => {
      setValue("");
      setComment("");
      done(made);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const complete = (config !== undefined || name.trim() !== "") && (kind === "BOOLEAN" || value !== "");
  return (
    <form className={css.annotate} onSubmit={submit} aria-label="Add a score">
      {list.length > 0 && (
        <Select
          aria-label="Score config"
          w={150}
          value={configId}
          onChange={(next) => {
            setConfigId(next ?? FREE);
            setValue("");
          }}
          data={[{ value: FREE, label: "free score" }, ...list.map((one) => ({ value: one.id, label: one.name }))]}
        />
      )}
      {!config && (
        <>
          <TextInput
            aria-label="Name of the score"
            placeholder="name, e.g. helpful"
            w={150}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Select
            aria-label="Type of the score"
            w={104}
            value={type}
            onChange={(next) => {
              setType((next ?? "NUMERIC") as ScoreType);
              setValue("");
            }}
            data={[
              { value: "NUMERIC", label: "number" },
              { value: "BOOLEAN", label: "yes / no" },
              { value: "CATEGORICAL", label: "category" },
              { value: "TEXT", label: "text" },
            ]}
          />
        </>
      )}
      {kind === "NUMERIC" ? (
        <NumberInput
          aria-label="Value"
          placeholder={config ? `${config.min_value ?? ""} – ${config.max_value ?? ""}` : "value"}
          w={90}
          min={config?.min_value ?? undefined}
          max={config?.max_value ?? undefined}
          value={value}
          onChange={setValue}
          hideControls
        />
      ) : kind === "BOOLEAN" ? (
        <Switch
          aria-label="Value"
          checked={value === 1}
          onChange={(event) => setValue(event.currentTarget.checked ? 1 : 0)}
          label={value === 1 ? "yes" : "no"}
        />
      ) : config?.categories && config.categories.length > 0 ? (
        <Select
          aria-label="Value"
          w={130}
          placeholder="category"
          value={value === "" ? null : String(value)}
          onChange={(next) => setValue(next ?? "")}
          data={config.categories.map((one) => one.label)}
        />
      ) : (
        <TextInput
          aria-label="Value"
          placeholder="value"
          w={130}
          value={value}
          onChange={(event) => setValue(event.currentTarget.value)}
        />
      )}
      <TextInput
        aria-label="Reason"
        placeholder="why (optional)"
        flex="1 1 120px"
        value={comment}
        onChange={(event) => setComment(event.currentTarget.value)}
      />
      <Button
        type="submit"
        variant="default"
        leftSection={<IconPlus size={13} />}
        disabled={!complete}
        loading={save.isPending}
      >
        Score
      </Button>
      {save.error && (
        <div className={css.formError} role="alert">
          {save.error.message}
        </div>
      )}
    </form>
  );
}

function Comments({ traceId, spanId }: { traceId: string; spanId: string | undefined }) {
  const { api, project } = useApi();
  const { may } = useHere();
  const queries = useQueryClient();
  const comments = useComments(traceId);
  const [text, setText] = useState("");
  const refresh = () => queries.invalidateQueries({ queryKey: [project, "comments", traceId] });
  const send = useMutation({
    mutationFn: () => take(api.POST("/api/v1/comments", { body: { trace_id: traceId, span_id: spanId ?? "", text } })),
    onSuccess: () => {
      setText("");
      return refresh();
    },
  });
  const remove = useMutation({
    mutationFn: (comment: Comment) =>
      take(api.DELETE("/api/v1/comments/{comment_id}", { params: { path: { comment_id: comment.id } } })),
    onSuccess: refresh,
  });
  return (
    <section className="stack" aria-label="Comments" style={{ gap: 8 }}>
      <h3 className={css.blockTitle}>Comments</h3>
      <Loaded query={comments} rows={2}>
        {({ data }) => {
          const shown = data.filter(about(spanId));
          return (
            <>
              {shown.length === 0 && !may("scores.write") && <Empty icon={IconMessage} title="No comments" />}
              {shown.map((comment) => (
                <div key={comment.id} className={css.comment}>
                  <header>
                    <b>{comment.author_name || comment.author}</b>
                    <Time value={comment.created_at} className="muted" />
                    <span className="grow" />
                    {may("scores.write") && (
                      <ActionIcon size={20} aria-label="Remove comment" onClick={() => remove.mutate(comment)}>
                        <IconTrash size={13} />
                      </ActionIcon>
                    )}
                  </header>
                  <div>{comment.text}</div>
                </div>
              ))}
              {may("scores.write") && (
                <form
                  className="row"
                  onSubmit={(event) => {
                    event.preventDefault();
                    send.mutate();
                  }}
                >
                  <Textarea
                    className="grow"
                    aria-label="Comment"
                    placeholder="Write a comment for your team"
                    autosize
                    minRows={1}
                    maxRows={8}
                    value={text}
                    onChange={(event) => setText(event.currentTarget.value)}
                    error={send.error?.message}
                  />
                  <Button type="submit" variant="default" disabled={text.trim() === ""} loading={send.isPending}>
                    Comment
                  </Button>
                </form>
              )}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
