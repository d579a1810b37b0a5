// Langfuse's JavaScript SDK: the OpenAI wrapper inside an observation.
import { CHAT, EMBEDDER, MODEL, QUESTION, SESSION, STAGE, USER, play, provider, require_ } from "./scenes.mjs";

const { LangfuseSpanProcessor } = require_("@langfuse/otel");
const processor = new LangfuseSpanProcessor();
const tracing = provider([processor]);
const { observeOpenAI } = require_("@langfuse/openai");
const { startActiveObservation, propagateAttributes } = require_("@langfuse/tracing");
const { OpenAI } = require_("openai");

const scene = play(() => processor.forceFlush());
const raw = new OpenAI({ baseURL: `${STAGE}/v1`, apiKey: "sk-stage", maxRetries: 0 });
const client = observeOpenAI(raw, { generationName: "ask", sessionId: SESSION, userId: USER, tags: ["demo"] });

await scene("plain", () => client.chat.completions.create({ model: MODEL, messages: CHAT, temperature: 0.2, max_tokens: 100 }));
await scene("stream", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages: CHAT, stream: true, stream_options: { include_usage: true } });
  for await (const _ of answer);
});
await scene("error", () => client.chat.completions.create({ model: "busy-model", messages: CHAT }), { fails: true });
await scene("embedding", () => client.embeddings.create({ model: EMBEDDER, input: ["Rome", "Paris"] }));
await scene("agent", () =>
  startActiveObservation("weather chat", async (root) => {
    root.update({ input: QUESTION });
    await propagateAttributes({ sessionId: SESSION, userId: USER, tags: ["demo"], metadata: { team: "red" } }, async () => {
      await startActiveObservation("agent", async () => {
        await startActiveObservation("get_weather", async (tool) => tool.update({ input: { city: "Rome" }, output: "Sunny" }), { asType: "tool" });
        await client.chat.completions.create({ model: MODEL, messages: CHAT });
      }, { asType: "agent" });
    });
    root.update({ output: "It is sunny." });
  }),
);
process.exit(0);
