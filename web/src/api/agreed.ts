/** Shapes of scores, comments, failures, alerts and saved views. */

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export type ScoreType = "NUMERIC" | "CATEGORICAL" | "BOOLEAN" | "TEXT";

export interface Score {
  id: string;
  trace_id: string;
  span_id: string;
  session_id: string;
  name: string;
  value: number | null;
  string_value: string;
  data_type: string;
  source: string;
  comment: string;
  config_id: string;
  author: string;
  environment: string;
  time: string;
}

export interface ScoreConfig {
  id: string;
  name: string;
  data_type: ScoreType;
  min_value: number | null;
  max_value: number | null;
  categories: { label: string; value: number }[];
  description: string;
  is_archived: boolean;
}

export interface Comment {
  id: string;
  trace_id: string;
  span_id: string;
  text: string;
  author: string;
  author_name: string;
  created_at: string;
}

export interface FailureRow {
  signature: string;
  error_class: string;
  title: string;
  example: { trace_id: string; span_id: string; message: string };
  count: number;
  traces: number;
  users: number;
  models: string[];
  first_seen: string;
  last_seen: string;
  is_new: boolean;
  series: [string | number, number][];
}

export interface CriticalPath {
  total_ns: number;
  steps: { span_id: string; name: string; kind: string; own_ns: number; share: number }[];
  owner: string;
}

export interface DiffedSpan {
  span_id: string;
  name: string;
  kind: string;
  duration_ms?: number;
  model?: string;
  status?: string;
  total_tokens?: number;
  cost_usd?: string | null;
}

export interface TraceDiff {
  summary: Record<string, unknown>;
  spans: {
    change: "same" | "changed" | "added" | "removed";
    left?: DiffedSpan | null;
    right?: DiffedSpan | null;
    fields: (string | { field: string; left?: unknown; right?: unknown })[];
  }[];
}

export interface Channel {
  id: string;
  name: string;
  kind: "webhook" | "email";
  url: string | null;
  addresses: string[] | null;
  secret?: string | null;
}

export interface RuleBody {
  name: string;
  measure: string;
  filter: string;
  environment: string;
  window_minutes: number;
  direction: "above" | "below";
  threshold: number;
  channel_ids: string[];
  enabled: boolean;
}

export interface AlertRule extends RuleBody {
  id: string;
}

export interface RulePreview {
  value: number | null;
  would_fire: boolean;
  series: [string | number, number | null][];
}

export interface Alert {
  id: string;
  rule_id: string;
  rule_name: string;
  state: "firing" | "resolved";
  value: number | null;
  threshold: number;
  started_at: string;
  resolved_at: string | null;
  deliveries: { channel: string; state: string; attempts: number; last_error: string | null; at: string | null }[];
}

export type ViewPage = "traces" | "sessions" | "end-users" | "metrics" | "failures";

export interface View {
  id: string;
  name: string;
  page: ViewPage;
  query: string;
  shared: boolean;
  mine: boolean;
}
