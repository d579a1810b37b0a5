/** The filter language as chips: clauses joined by `and`, each "field op value". */

export interface Field {
  name: string;
  help: string;
  kind: "text" | "number" | "choice";
  values?: string[];
  /** A dimension of /metrics whose values may be suggested. */
  dimension?: string;
}

export const FIELDS: Field[] = [
  { name: "status", help: "ok or error", kind: "choice", values: ["error", "ok"] },
  { name: "model", help: "model that answered", kind: "text", dimension: "model" },
  { name: "provider", help: "openai, anthropic, …", kind: "text", dimension: "provider" },
  {
    name: "error_class",
    help: "what kind of failure",
    kind: "choice",
    values: ["rate_limit", "timeout", "auth", "invalid_request", "content_filter", "upstream", "cancelled", "internal"],
  },
  { name: "name", help: "name of the span", kind: "text", dimension: "name" },
  {
    name: "kind",
    help: "what a span did",
    kind: "choice",
    values: ["llm", "embedding", "retriever", "reranker", "tool", "agent", "chain", "guardrail", "evaluator"],
  },
  { name: "signature", help: "fingerprint of a failure", kind: "text" },
  { name: "app", help: "application", kind: "text", dimension: "app" },
  { name: "service", help: "service.name", kind: "text", dimension: "service" },
  { name: "release", help: "release digest", kind: "text", dimension: "release" },
  { name: "version", help: "version of the application", kind: "text", dimension: "version" },
  { name: "finish_reason", help: "why the model stopped", kind: "text", dimension: "finish_reason" },
  { name: "prompt_name", help: "prompt behind the call", kind: "text", dimension: "prompt_name" },
  { name: "input", help: "text of the input", kind: "text" },
  { name: "output", help: "text of the output", kind: "text" },
  { name: "latency_ms", help: "milliseconds", kind: "number" },
  { name: "ttft_ms", help: "time to first token, ms", kind: "number" },
  { name: "total_tokens", help: "tokens in all", kind: "number" },
  { name: "input_tokens", help: "tokens in", kind: "number" },
  { name: "output_tokens", help: "tokens out", kind: "number" },
  { name: "cost_usd", help: "US dollars", kind: "number" },
  { name: "user_id", help: "end user", kind: "text", dimension: "user_id" },
  { name: "session_id", help: "session or thread", kind: "text", dimension: "session_id" },
  { name: "tags", help: "tag on the trace", kind: "text" },
  { name: "metadata.", help: "a metadata key, e.g. metadata.plan", kind: "text" },
];

export const OPERATORS: Record<Field["kind"], string[]> = {
  choice: ["=", "!="],
  text: ["=", "!=", "~"],
  number: [">", "<", ">=", "<="],
};

const CLAUSE = /^\s*([A-Za-z_][\w.-]*)\s*(!=|>=|<=|=|>|<|~)\s*(.*)$/s;

/** Splits at the top-level `and`s, quotes and brackets respected. */
export function clauses(filter: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let quote = "";
  let start = 0;
  for (let at = 0; at < filter.length; at++) {
    const char = filter[at] as string;
    if (quote) {
      if (char === "\\") at++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "(" || char === "[") depth++;
    else if (char === ")" || char === "]") depth--;
    else if (depth === 0 && /^\sand\s/i.test(filter.slice(at, at + 5))) {
      found.push(filter.slice(start, at).trim());
      at += 4;
      start = at;
    }
  }
  found.push(filter.slice(start).trim());
  return found.filter(Boolean);
}

export function join(parts: string[]): string | undefined {
  return parts.length > 0 ? parts.join(" and ") : undefined;
}

export function quote(value: string): string {
  return /^-?\d+(\.\d+)?$/.test(value) ? value : `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

export function clause(field: string, operator: string, value: string): string {
  const number = FIELDS.find((one) => one.name === field)?.kind === "number";
  return `${field} ${operator} ${number ? value : quoteText(value)}`;
}

function quoteText(value: string): string {
  return /^["'].*["']$/s.test(value) ? value : `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

export interface Draft {
  field: string;
  operator: string;
  value: string;
}

/** What somebody has typed so far of a clause. */
export function draft(text: string): Draft {
  const match = CLAUSE.exec(text);
  if (match) return { field: match[1] as string, operator: match[2] as string, value: (match[3] as string).trim() };
  return { field: text.trim(), operator: "", value: "" };
}

/** The clause a chip shows, without the quotes around plain values. */
export function chip(text: string): Draft {
  const parts = draft(text);
  return { ...parts, value: parts.value.replace(/^"(.*)"$/s, "$1") };
}

export function fieldOf(name: string): Field {
  return FIELDS.find((one) => one.name === name) ?? { name, help: "", kind: "text" };
}
