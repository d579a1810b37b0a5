/** Calls the gateway as the logged-in user, and reads its stream as it comes. */
import { ApiError, headersFor } from "../../api/client";

export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

export interface Answer {
  text: string;
  reasoning: string;
  calls: ToolCall[];
  finish: string;
  model: string;
  inputTokens: number | null;
  outputTokens: number | null;
  cost: string | null;
  traceId: string;
  latencyMs: number;
  firstTokenMs: number | null;
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[];
}

interface Chunk {
  model?: string;
  choices?: { delta?: Delta; message?: Delta; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number; cost?: number | string | null } | null;
  error?: { message?: string; code?: string };
}

const PATH = "/api/v1/playground/chat/completions";

export function emptyAnswer(): Answer {
  return {
    text: "",
    reasoning: "",
    calls: [],
    finish: "",
    model: "",
    inputTokens: null,
    outputTokens: null,
    cost: null,
    traceId: "",
    latencyMs: 0,
    firstTokenMs: null,
  };
}

function absorb(answer: Answer, chunk: Chunk): void {
  if (chunk.error) throw new ApiError(502, chunk.error.message ?? "The stream broke off.", chunk.error.code ?? "");
  if (chunk.model) answer.model = chunk.model;
  for (const choice of chunk.choices ?? []) {
    const delta = choice.delta ?? choice.message ?? {};
    answer.text += delta.content ?? "";
    answer.reasoning += delta.reasoning_content ?? "";
    for (const [place, call] of (delta.tool_calls ?? []).entries()) {
      const index = call.index ?? place;
      const known = answer.calls[index] ?? { id: "", name: "", arguments: "" };
      answer.calls[index] = {
        id: call.id ?? known.id,
        name: known.name + (call.function?.name ?? ""),
        arguments: known.arguments + (call.function?.arguments ?? ""),
      };
    }
    if (choice.finish_reason) answer.finish = choice.finish_reason;
  }
  if (chunk.usage) {
    answer.inputTokens = chunk.usage.prompt_tokens ?? answer.inputTokens;
    answer.outputTokens = chunk.usage.completion_tokens ?? answer.outputTokens;
    if (chunk.usage.cost !== undefined && chunk.usage.cost !== null) answer.cost = String(chunk.usage.cost);
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as { detail?: string; error?: { message?: string } };
  return new ApiError(response.status, body.error?.message ?? body.detail ?? `The server answered ${response.status}.`);
}

/** Runs one call; `progress` gets the answer as it grows. */
export async function run(
  body: Record<string, unknown>,
  bound: { project: string; csrf: string; environment: string },
  signal: AbortSignal,
  progress: (answer: Answer) => void,
): Promise<Answer> {
  const started = performance.now();
  const answer = emptyAnswer();
  const response = await fetch(PATH, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...headersFor(bound.project, bound.csrf, "POST"),
      ...(bound.environment && { "X-Octavo-Environment": bound.environment }),
    },
    body: JSON.stringify(body),
    signal,
  });
  answer.traceId = response.headers.get("x-octavo-trace-id") ?? "";
  answer.cost = response.headers.get("x-octavo-cost") ?? response.headers.get("x-octavo-cost-usd");
  if (!response.ok || !response.body) throw await refusal(response);
  if (!response.headers.get("content-type")?.includes("event-stream")) {
    absorb(answer, (await response.json()) as Chunk);
    answer.latencyMs = performance.now() - started;
    return answer;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") continue;
      absorb(answer, JSON.parse(data) as Chunk);
      if (answer.firstTokenMs === null && (answer.text || answer.reasoning || answer.calls.length))
        answer.firstTokenMs = performance.now() - started;
    }
    answer.latencyMs = performance.now() - started;
    progress({ ...answer, calls: [...answer.calls] });
  }
  answer.latencyMs = performance.now() - started;
  return answer;
}
