// The Vercel AI SDK with its telemetry switched on. The first argument says by which of its integrations it tells.
import { CHAT, EMBEDDER, MODEL, QUESTION, SESSION, STAGE, SYSTEM, USER, play, provider, require_ } from "./scenes.mjs";

const tracing = provider();
const ai = require_("ai");
const { createOpenAI } = require_("@ai-sdk/openai");
const { z } = require_("zod");
const integration = new (require_("@ai-sdk/otel")[process.argv[2]])();
ai.registerTelemetry(integration);

const scene = play(() => tracing.forceFlush());
const openai = createOpenAI({ baseURL: `${STAGE}/v1`, apiKey: "sk-stage" });
const telemetry = { isEnabled: true, functionId: "weather", metadata: { sessionId: SESSION, userId: USER, team: "red" } };
const common = { model: openai.chat(MODEL), maxRetries: 0, telemetry, experimental_telemetry: telemetry };
const messages = CHAT.slice(1);
const tools = {
  get_weather: ai.tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `Sunny, 21 degrees, in ${city}.`,
  }),
};

await scene("plain", () => ai.generateText({ ...common, instructions: SYSTEM, messages, temperature: 0.2, maxOutputTokens: 100 }));
await scene("stream", async () => {
  for await (const _ of ai.streamText({ ...common, instructions: SYSTEM, messages }).textStream);
});
await scene("tool", () => ai.generateText({ ...common, instructions: SYSTEM, messages, tools, stopWhen: ai.stepCountIs(3) }));
await scene("error", () => ai.generateText({ ...common, model: openai.chat("busy-model"), prompt: QUESTION }), { fails: true });
await scene("embedding", () => ai.embedMany({ model: openai.embedding(EMBEDDER), values: ["Rome", "Paris"], maxRetries: 0, telemetry, experimental_telemetry: telemetry }));
await scene("responses", () => ai.generateText({ ...common, model: openai(MODEL), instructions: SYSTEM, messages }));
process.exit(0);
