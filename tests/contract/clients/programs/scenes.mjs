// What the JavaScript programs share; see scenes.py.
import { createRequire } from "node:module";
import path from "node:path";

// The packages are where the program is started, not where it is kept.
const load = createRequire(path.join(process.cwd(), "package.json"));
export const require_ = (name) => load(name);
export const STAGE = process.env.STAGE_URL;
export const MODEL = "gpt-4.1-mini", EMBEDDER = "text-embedding-3-small";
export const SYSTEM = "You tell the weather.", QUESTION = "What is the weather in Rome?";
export const CHAT = [{ role: "system", content: SYSTEM }, { role: "user", content: QUESTION }];
export const SESSION = "session-7", USER = "user-ada";
export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const tell = (name) => fetch(`${STAGE}/scene/${name}`, { method: "POST", body: "" });

export function play(flush) {
  return async (name, act, { fails = false } = {}) => {
    await tell(name);
    let failed = null;
    try {
      await act();
    } catch (error) {
      failed = error;
    }
    await flush();
    await tell("between");
    if ((failed !== null) !== fails) {
      console.error(`scene ${name}:`, failed);
      process.exit(1);
    }
  };
}

// OpenTelemetry's SDK with these processors, or with an exporter of OTLP/JSON.
export function provider(processors) {
  const { NodeTracerProvider, BatchSpanProcessor } = require_("@opentelemetry/sdk-trace-node");
  const { OTLPTraceExporter } = require_("@opentelemetry/exporter-trace-otlp-http");
  const { resourceFromAttributes } = require_("@opentelemetry/resources");
  const tracing = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "weather-bot", "deployment.environment.name": "staging" }),
    spanProcessors: processors ?? [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  tracing.register();
  return tracing;
}
