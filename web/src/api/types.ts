/** Short names for the generated types; the rooms import these, never the schema itself. */
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

export type User = Schemas["UserView"];
export type Session = Schemas["SessionView"];
export type Project = Schemas["ProjectView"];
export type Environment = Schemas["EnvironmentView"];
export type ApiKey = Schemas["KeyView"];
export type ApiKeyCreated = Schemas["NewKeyView"];
export type AuditEvent = Schemas["EventView"];
export type Provider = Schemas["ProviderOut"];
export type Connection = Schemas["ConnectionOut"];
export type Probe = Schemas["ProbeOut"];
export type Route = Schemas["RouteOut"];
export type Target = Schemas["TargetBody"];
export type Rates = Schemas["RatesBody"];
export type Price = Schemas["PriceOut"];
export type PriceRule = Schemas["PriceRuleOut"];
export type CallableModel = Schemas["ModelOut"];
export type TraceSummary = Schemas["TraceSummary"];
export type SpanSummary = Schemas["SpanSummary"];
export type Span = Schemas["SpanOut"];
export type Usage = Schemas["UsageOut"];
export type Trace = Schemas["TraceOut"];
export type Metrics = Schemas["MetricsOut"];
export type Accounting = Schemas["AccountingView"];
export type ServerState = Schemas["ServerView"];
export type { paths };
