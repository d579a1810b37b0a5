/** Try a model through the gateway: the call is routed, priced and traced like any other. */
import {
  ActionIcon,
  Autocomplete,
  Button,
  NumberInput,
  SegmentedControl,
  Select,
  Switch,
  Textarea,
  TextInput,
} from "@mantine/core";
import { IconColumns2, IconPlayerPlay, IconPlayerStop, IconPlus, IconPrompt, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { take, useApi } from "../../api/client";
import { useKeys } from "../../shell/keys";
import { useScope } from "../../shell/scope";
import { Kbd, Money, PageHead, Pill } from "../../ui/atoms";
import { Json, Markdown, parseJson } from "../../ui/code";
import { conversation } from "../../ui/conversation";
import { duration, integer } from "../../ui/format";
import { Empty, Failure } from "../../ui/states";
import css from "./playground.module.css";
import { type Answer, emptyAnswer, run } from "./stream";

interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

interface Settings {
  temperature: number | "";
  maxTokens: number | "";
  format: "text" | "json";
  stream: boolean;
  tools: string;
  more: string; // a JSON object of all other parameters
}

const START: Turn[] = [
  { role: "system", content: "You are a helpful assistant. Answer briefly." },
  { role: "user", content: "" },
];

/** The models known by name; a default connection takes others too. */
function useModels() {
  const { api, project } = useApi();
  const { data } = useQuery({ queryKey: [project, "models"], queryFn: () => take(api.GET("/api/v1/models")) });
  return [...new Set((data?.data ?? []).map((one) => one.model).filter((name) => !name.includes("*")))];
}

function useConnected(): boolean {
  const { api, project } = useApi();
  const { data } = useQuery({
    queryKey: [project, "connections"],
    queryFn: () => take(api.GET("/api/v1/connections")),
  });
  return data === undefined || data.data.length > 0;
}

/** The messages, model and parameters of a span, when the playground was opened from one. */
function useOrigin(load: (turns: Turn[], model: string, settings: Partial<Settings>) => void) {
  const { api, project } = useApi();
  const search = useSearch({ strict: false }) as { trace?: string; span?: string };
  const { trace = "", span = "" } = search;
  const { data } = useQuery({
    queryKey: [project, "span", trace, span],
    enabled: trace !== "" && span !== "",
    queryFn: () =>
      take(api.GET("/api/v1/spans/{span_id}", { params: { path: { span_id: span }, query: { trace_id: trace } } })),
  });
  const loaded = useRef("");
  useEffect(() => {
    if (!data || loaded.current === data.span_id) return;
    loaded.current = data.span_id;
    load(turnsOf(data.input), data.model_requested || data.model, settingsOf(data.parameters, data.tools));
  }, [data, load]);
}

/** What can be said again: tool calls and results are told as text, pictures are left out. */
function turnsOf(input: string): Turn[] {
  const messages = conversation(input, "user");
  if (!messages) return input ? [{ role: "user", content: input }] : [];
  return messages
    .map((message): Turn => {
      const content = message.parts
        .map((part) => {
          if (part.type === "text") return part.text;
          if (part.type === "call") return `[calls ${part.name} ${JSON.stringify(part.arguments)}]`;
          if (part.type === "result")
            return typeof part.content === "string" ? part.content : JSON.stringify(part.content);
          return "";
        })
        .filter(Boolean)
        .join("\n");
      const role =
        message.role === "system" || message.role === "developer"
          ? "system"
          : message.role === "assistant"
            ? "assistant"
            : "user";
      return { role, content };
    })
    .filter((turn) => turn.content !== "");
}

function settingsOf(parameters: Record<string, unknown>, tools: string): Partial<Settings> {
  const rest = { ...parameters };
  const take = (...names: string[]): number | "" => {
    const found = names.map((name) => parameters[name]).find((value) => typeof value === "number");
    for (const name of names) delete rest[name];
    return (found as number | undefined) ?? "";
  };
  const temperature = take("temperature");
  const maxTokens = take("max_tokens", "max_completion_tokens", "max_output_tokens");
  const json = isRecord(rest.response_format) && rest.response_format.type === "json_object";
  if (json) delete rest.response_format;
  for (const name of ["stream", "stream_options", "model", "messages", "tools"]) delete rest[name];
  const offered = parseJson(tools);
  return {
    temperature,
    maxTokens,
    format: json ? "json" : "text",
    tools: Array.isArray(offered) && offered.length > 0 ? JSON.stringify(offered) : "",
    more: Object.keys(rest).length > 0 ? JSON.stringify(rest) : "",
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function Playground() {
  const { model: asked } = useSearch({ strict: false }) as { model?: string };
  const models = useModels();
  const [turns, setTurns] = useState<Turn[]>(START);
  const [chosen, choose] = useState<string[]>([asked ?? ""]);
  const [settings, setSettings] = useState<Settings>({
    temperature: 0.7,
    maxTokens: 512,
    format: "text",
    stream: true,
    tools: "",
    more: "",
  });
  const [signal, fire] = useState(0);
  const [running, setRunning] = useState(0);
  const load = useRef((next: Turn[], model: string, given: Partial<Settings>) => {
    if (next.length > 0) setTurns(next);
    if (model) choose([model]);
    setSettings((before) => ({ ...before, ...given }));
  });
  useOrigin(load.current);
  const first = models[0];
  useEffect(() => {
    if (first) choose((before) => before.map((one) => one || first));
  }, [first]);
  const ready = turns.some((turn) => turn.content.trim() !== "") && chosen.every(Boolean);
  const start = () => ready && running === 0 && fire((count) => count + 1);
  useKeys({ "mod+enter": start });
  const change = (place: number, patch: Partial<Turn>) =>
    setTurns(turns.map((turn, at) => (at === place ? { ...turn, ...patch } : turn)));
  return (
    <div className={css.page}>
      <PageHead title="Playground" note="Each run goes through the gateway and leaves a trace.">
        <Button
          variant="default"
          leftSection={<IconColumns2 size={14} />}
          onClick={() =>
            choose(chosen.length === 1 ? [chosen[0] ?? "", models[1] ?? chosen[0] ?? ""] : [chosen[0] ?? ""])
          }
        >
          {chosen.length === 1 ? "Compare" : "One model"}
        </Button>
        <Button
          leftSection={<IconPlayerPlay size={14} />}
          onClick={start}
          disabled={!ready}
          loading={running > 0}
          rightSection={<span className={css.hint}>⌘↵</span>}
        >
          Run
        </Button>
      </PageHead>
      <div className={css.columns} data-compare={chosen.length > 1}>
        <div className={css.editor}>
          {turns.map((turn, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: turns are edited in place
            <div key={place} className={css.turn} data-role={turn.role}>
              <div className={css.turnHead}>
                <Select
                  aria-label={`Role of message ${place + 1}`}
                  variant="unstyled"
                  w={104}
                  data={["system", "user", "assistant"]}
                  value={turn.role}
                  onChange={(next) => next && change(place, { role: next as Turn["role"] })}
                />
                <span className="grow" />
                <ActionIcon
                  aria-label={`Remove message ${place + 1}`}
                  disabled={turns.length === 1}
                  onClick={() => setTurns(turns.filter((_, at) => at !== place))}
                >
                  <IconTrash size={14} />
                </ActionIcon>
              </div>
              <Textarea
                aria-label={`Message ${place + 1} (${turn.role})`}
                variant="unstyled"
                autosize
                minRows={turn.role === "user" ? 3 : 2}
                maxRows={18}
                placeholder={turn.role === "user" ? "Ask something…" : ""}
                value={turn.content}
                onChange={(event) => change(place, { content: event.currentTarget.value })}
              />
            </div>
          ))}
          <div>
            <Button
              variant="subtle"
              leftSection={<IconPlus size={14} />}
              onClick={() =>
                setTurns([...turns, { role: turns.at(-1)?.role === "user" ? "assistant" : "user", content: "" }])
              }
            >
              Add message
            </Button>
          </div>
          <Parameters settings={settings} change={(patch) => setSettings({ ...settings, ...patch })} />
        </div>
        {chosen.map((model, place) => (
          <Lane
            // biome-ignore lint/suspicious/noArrayIndexKey: a lane is its place
            key={place}
            model={model}
            models={models}
            change={(next) => choose(chosen.map((one, at) => (at === place ? next : one)))}
            turns={turns}
            settings={settings}
            signal={signal}
            busy={(by) => setRunning((count) => count + by)}
            append={(text) => setTurns([...turns, { role: "assistant", content: text }, { role: "user", content: "" }])}
          />
        ))}
      </div>
    </div>
  );
}

function Parameters({ settings, change }: { settings: Settings; change: (patch: Partial<Settings>) => void }) {
  const number = (value: string | number) => (value === "" ? "" : Number(value));
  return (
    <div className={css.parameters}>
      <NumberInput
        label="Temperature"
        min={0}
        max={2}
        step={0.1}
        value={settings.temperature}
        onChange={(next) => change({ temperature: number(next) })}
      />
      <NumberInput
        label="Max tokens"
        min={1}
        value={settings.maxTokens}
        onChange={(next) => change({ maxTokens: number(next) })}
      />
      <div>
        <div className={css.label}>Answer</div>
        <SegmentedControl
          value={settings.format}
          onChange={(next) => change({ format: next === "json" ? "json" : "text" })}
          data={[
            { value: "text", label: "Text" },
            { value: "json", label: "JSON" },
          ]}
        />
      </div>
      <Switch
        label="Stream"
        checked={settings.stream}
        onChange={(event) => change({ stream: event.currentTarget.checked })}
        className={css.switch}
      />
      <TextInput
        label="Tools (JSON array)"
        placeholder="[]"
        className={css.tools}
        value={settings.tools}
        onChange={(event) => change({ tools: event.currentTarget.value })}
        error={settings.tools && !Array.isArray(parseJson(settings.tools)) ? "not a JSON array" : undefined}
      />
      <TextInput
        label="Other parameters (JSON object)"
        placeholder='{"top_p": 0.9, "seed": 7}'
        className={css.tools}
        value={settings.more}
        onChange={(event) => change({ more: event.currentTarget.value })}
        error={settings.more && !isRecord(parseJson(settings.more)) ? "not a JSON object" : undefined}
      />
    </div>
  );
}

function bodyOf(model: string, turns: Turn[], settings: Settings): Record<string, unknown> {
  const tools = settings.tools ? parseJson(settings.tools) : undefined;
  const more = settings.more ? parseJson(settings.more) : undefined;
  return {
    ...(isRecord(more) && more),
    model,
    messages: turns.filter((turn) => turn.content.trim() !== ""),
    stream: settings.stream,
    ...(settings.temperature !== "" && { temperature: settings.temperature }),
    ...(settings.maxTokens !== "" && { max_tokens: settings.maxTokens }),
    ...(settings.format === "json" && { response_format: { type: "json_object" } }),
    ...(Array.isArray(tools) && tools.length > 0 && { tools }),
  };
}

function Lane({
  model,
  models,
  change,
  turns,
  settings,
  signal,
  busy,
  append,
}: {
  model: string;
  models: string[];
  change: (model: string) => void;
  turns: Turn[];
  settings: Settings;
  signal: number;
  busy: (by: 1 | -1) => void;
  append: (text: string) => void;
}) {
  const { project, csrf } = useApi();
  const { env } = useScope();
  const bound = { project, csrf, environment: env };
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [active, setActive] = useState(false);
  const abort = useRef<AbortController | null>(null);
  const latest = useRef({ model, turns, settings, bound, busy });
  latest.current = { model, turns, settings, bound, busy };
  const ran = useRef(signal);
  useEffect(() => {
    if (ran.current === signal) return;
    ran.current = signal;
    const now = latest.current;
    const controller = new AbortController();
    abort.current = controller;
    setError(null);
    setAnswer(emptyAnswer());
    setActive(true);
    now.busy(1);
    run(bodyOf(now.model, now.turns, now.settings), now.bound, controller.signal, setAnswer)
      .then(setAnswer, (reason: unknown) => {
        if (!controller.signal.aborted) {
          setError(reason);
          setAnswer(null);
        }
      })
      .finally(() => {
        setActive(false);
        now.busy(-1);
      });
  }, [signal]);
  useEffect(() => () => abort.current?.abort(), []);
  const connected = useConnected();
  return (
    <section className={css.lane} aria-label={`Answer of ${model}`}>
      <div className={css.laneHead}>
        <Autocomplete
          aria-label="Model"
          data={models}
          value={model}
          onChange={change}
          placeholder="Name of a model"
          w={240}
        />
        <span className="grow" />
        {active && (
          <Button variant="default" leftSection={<IconPlayerStop size={14} />} onClick={() => abort.current?.abort()}>
            Stop
          </Button>
        )}
      </div>
      <div className={css.answer} aria-live="polite">
        {error ? (
          <Failure error={error} />
        ) : answer === null ? (
          <Empty icon={IconPrompt} title={connected ? "Nothing run yet" : "No model can be called yet"}>
            {!connected ? (
              <>
                <Link to="/providers">Connect a provider</Link> first.
              </>
            ) : (
              <>
                Write a message and press <Kbd>⌘</Kbd> <Kbd>↵</Kbd>.
              </>
            )}
          </Empty>
        ) : (
          <Shown answer={answer} active={active} />
        )}
      </div>
      {answer && !active && (
        <footer className={css.numbers}>
          <span>
            {integer(answer.inputTokens)} <span className="muted">in</span> {integer(answer.outputTokens)}{" "}
            <span className="muted">out</span>
          </span>
          <span>{duration(answer.latencyMs)}</span>
          {answer.firstTokenMs !== null && (
            <span>
              <span className="muted">first token</span> {duration(answer.firstTokenMs)}
            </span>
          )}
          <Money value={answer.cost} />
          {answer.finish && <Pill>{answer.finish}</Pill>}
          <span className="grow" />
          {answer.text && (
            <Button variant="subtle" onClick={() => append(answer.text)}>
              Continue
            </Button>
          )}
          {answer.traceId && (
            <Link to="/traces/$traceId" params={{ traceId: answer.traceId }}>
              Open trace
            </Link>
          )}
        </footer>
      )}
    </section>
  );
}

function Shown({ answer, active }: { answer: Answer; active: boolean }) {
  const value = active ? undefined : parseJson(answer.text);
  return (
    <div className="stack">
      {answer.reasoning && (
        <details className={css.reasoning}>
          <summary>Reasoning</summary>
          {answer.reasoning}
        </details>
      )}
      {value !== undefined ? <Json value={value} /> : answer.text && <Markdown text={answer.text} />}
      {active && <span className={css.cursor} />}
      {answer.calls.map((call) => (
        <div key={call.id || call.name}>
          <Pill tone="accent">calls {call.name}</Pill>
          <Json value={parseJson(call.arguments) ?? call.arguments} />
        </div>
      ))}
      {!active && !answer.text && answer.calls.length === 0 && <span className="muted">(empty answer)</span>}
    </div>
  );
}
