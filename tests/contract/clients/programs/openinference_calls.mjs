// OpenInference's instrumentation of OpenAI's JavaScript SDK.
import { CHAT, EMBEDDER, MODEL, STAGE, WEATHER, play, provider, require_ } from "./scenes.mjs";

const tracing = provider();
const { OpenAIInstrumentation } = require_("@arizeai/openinference-instrumentation-openai");
const OpenAI = require_("openai");
new OpenAIInstrumentation().manuallyInstrument(OpenAI);

const scene = play(() => tracing.forceFlush());
const client = new OpenAI({ baseURL: `${STAGE}/v1`, apiKey: "sk-stage", maxRetries: 0 });

await scene("plain", () => client.chat.completions.create({ model: MODEL, messages: CHAT, temperature: 0.2, max_tokens: 100 }));
await scene("stream", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages: CHAT, stream: true, stream_options: { include_usage: true } });
  for await (const _ of answer);
});
await scene("tool", () => client.chat.completions.create({ model: MODEL, messages: CHAT, tools: [WEATHER] }));
await scene("error", () => client.chat.completions.create({ model: "busy-model", messages: CHAT }), { fails: true });
await scene("embedding", () => client.embeddings.create({ model: EMBEDDER, input: ["Rome", "Paris"] }));
process.exit(0);
