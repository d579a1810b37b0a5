// A program of an application that has Langfuse's JavaScript SDK 5: it traces, calls the gateway, scores, and prints as
// JSON what it reads back. Run by `test_javascript.py`.

import { LangfuseClient } from "@langfuse/client";
import { LangfuseMedia } from "@langfuse/core";
import { observeOpenAI } from "@langfuse/openai";
import { LangfuseSpanProcessor } from "@langfuse/otel";
import {
  createTraceId,
  observe,
  propagateAttributes,
  startActiveObservation,
  startObservation,
  updateActiveObservation,
} from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import OpenAI from "openai";

const processor = new LangfuseSpanProcessor({
  environment: "staging",
  release: "js-release",
  mask: ({ data }) => data.replaceAll("4111 1111", "****"),
});
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
provider.register();
const langfuse = new LangfuseClient();

async function soon(read, wanted = (found) => Boolean(found)) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    let found;
    try {
      found = await read();
    } catch (error) {
      if (error.statusCode !== 404 || Date.now() > deadline) throw error;
    }
    if ((found !== undefined && wanted(found)) || Date.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const lookUp = observe(
  async (card) => {
    updateActiveObservation({ level: "WARNING", statusMessage: "slow", metadata: { index: "cards" } });
    return { found: card.length };
  },
  { name: "look up", asType: "tool" },
);

let cost = 0;
const traceId = await startActiveObservation("js", async (root) => {
  return await propagateAttributes(
    { sessionId: "js-session", userId: "brendan", tags: ["js"], metadata: { tier: "gold" }, traceName: "js-trace" },
    async () => {
      root.update({ input: { card: "4111 1111" } });
      await lookUp("4111 1111");
      const said = startObservation("say", { model: "gpt-4o", input: "Hi" }, { asType: "generation" });
      said.update({ output: "Hello", usageDetails: { input: 10, output: 5 }, costDetails: { input: 0.1, output: 0.2 } });
      said.end();
      const nested = root.startObservation("rank", {}, { asType: "retriever" });
      nested.startObservation("noted", { input: "now" }, { asType: "event" });
      nested.end();
      const openai = observeOpenAI(new OpenAI(), { generationName: "js-plain" });
      const messages = [{ role: "user", content: "A word, please" }];
      const plain = await openai.chat.completions.create({ model: "gpt-4o", messages });
      cost = plain.usage.cost;
      const streaming = observeOpenAI(new OpenAI(), { generationName: "js-streamed" });
      const chunks = await streaming.chat.completions.create({
        model: "gpt-4o",
        messages,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      for await (const chunk of chunks) text += chunk.choices[0]?.delta?.content ?? "";
      const picture = new LangfuseMedia({
        source: "bytes",
        contentBytes: Buffer.from("a picture from node"),
        contentType: "image/png",
      });
      root.update({ output: { text }, metadata: { picture } });
      langfuse.score.activeObservation({ name: "js-span-score", value: 0.5 });
      langfuse.score.activeTrace({ name: "js-mood", value: "calm", dataType: "CATEGORICAL" });
      return root.traceId;
    },
  );
});
langfuse.score.create({ name: "js-right", value: 1, dataType: "BOOLEAN", traceId });
await processor.forceFlush();
await langfuse.score.flush();

const { api } = langfuse;
const trace = await soon(
  () => api.trace.get(traceId),
  (one) => one.observations.length === 7 && one.scores.length === 3,
);
const listed = await api.trace.list({ userId: "brendan", limit: 5 });
const session = await api.sessions.get("js-session");
const scores = await api.scores.getMany({ traceId });
const newer = await api.observations.getMany({ traceId, fields: "core,basic,io,usage" });
const picture = JSON.stringify(trace.metadata).match(/@@@langfuseMedia:.*?@@@/)?.[0] ?? "";
const resolved = await langfuse.resolveMediaReferences({ obj: picture, resolveWith: "base64DataUri" });
let missing = "found";
try {
  await api.trace.get("0".repeat(32));
} catch (error) {
  missing = error.statusCode;
}

await langfuse.api.datasets.create({ name: "js/sums" });
for (const number of [1, 2]) {
  await langfuse.dataset.createItem({ datasetName: "js/sums", input: number, expectedOutput: number * 2 });
}
const dataset = await langfuse.dataset.get("js/sums");
const ran = await dataset.runExperiment({
  name: "js",
  runName: "first run",
  description: "Twice",
  task: async (item) => item.input * 2,
  evaluators: [async ({ output, expectedOutput }) => ({ name: "exact", value: output === expectedOutput ? 1 : 0 })],
});
await processor.forceFlush();
const run = await langfuse.getDatasetRun("js/sums", "first run");
const since = new Date(Date.now() - 3_600_000).toISOString();
const fields = "core,dataset,io,scores,experimentMetadata";
const experiment = await soon(
  () => langfuse.api.experiments.listItems({ fromStartTime: since, experimentId: run.id, fields }),
  (page) => page.data.length === 2 && page.data.every((one) => one.scores.length === 1),
);

console.log(
  JSON.stringify({
    ran: Object.fromEntries(ran.itemResults.map((one) => [one.item.id, one.traceId])),
    runItems: Object.fromEntries(run.datasetRunItems.map((one) => [one.datasetItemId, one.traceId])),
    experiment: experiment.data,
    datasetId: dataset.id,
    cost,
    trace,
    listed: listed.data.map((one) => one.id),
    session: session.traces.map((one) => one.id),
    scores: Object.fromEntries(scores.data.map((one) => [one.name, one.stringValue ?? one.value])),
    newer: newer.data.length,
    resolved,
    missing,
    seeded: await createTraceId("seed"),
    url: await langfuse.getTraceUrl(traceId),
  }),
);
await provider.shutdown();
