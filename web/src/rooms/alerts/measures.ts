/** What a rule may watch, and how its values read. */
import { compact, duration, integer, percent, usd } from "../../ui/format";

const KINDS: [string, string, (value: number) => string, string][] = [
  ["error_rate", "Error rate", percent, "share, 0.05 is 5 %"],
  ["errors", "Errors", integer, "errors"],
  ["calls", "Model calls", compact, "calls"],
  ["traces", "Traces", compact, "traces"],
  ["latency_avg", "Latency mean", duration, "milliseconds"],
  ["latency_p50", "Latency p50", duration, "milliseconds"],
  ["latency_p95", "Latency p95", duration, "milliseconds"],
  ["latency_p99", "Latency p99", duration, "milliseconds"],
  ["ttft_p50", "First token p50", duration, "milliseconds"],
  ["ttft_p95", "First token p95", duration, "milliseconds"],
  ["ttft_p99", "First token p99", duration, "milliseconds"],
  ["cost_usd", "Cost", usd, "US dollars"],
  ["total_tokens", "Tokens", compact, "tokens"],
  ["input_tokens", "Input tokens", compact, "tokens"],
  ["output_tokens", "Output tokens", compact, "tokens"],
  ["cached_tokens", "Cached tokens", compact, "tokens"],
  ["count", "Spans", compact, "spans"],
];

export const CHOICES = KINDS.map(([value, label]) => ({ value, label }));

export function titleOf(measure: string): string {
  return KINDS.find(([id]) => id === measure)?.[1] ?? measure;
}

export function formatOf(measure: string): (value: number) => string {
  return KINDS.find(([id]) => id === measure)?.[2] ?? String;
}

export function unitOf(measure: string): string {
  return KINDS.find(([id]) => id === measure)?.[3] ?? "";
}

/** A threshold to begin with. */
export function usualOf(measure: string): number {
  if (measure === "error_rate") return 0.05;
  if (/^(latency|ttft)/.test(measure)) return 5000;
  return measure === "cost_usd" ? 10 : 100;
}
