/** The snippets that fill an empty page: this server's own address, the key left to fill in. */
import { Snippets } from "./code";

export function firstCallSnippets(base: string, key: string, publicKey: string, model: string) {
  return [
    {
      label: "curl",
      text: `curl ${base}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello!"}]}'`,
    },
    {
      label: "Python",
      text: `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key="${key}")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.choices[0].message.content)`,
    },
    {
      label: "Anthropic SDK",
      text: `from anthropic import Anthropic

client = Anthropic(base_url="${base}", auth_token="${key}")
answer = client.messages.create(
    model="${model}",
    max_tokens=200,
    messages=[{"role": "user", "content": "Hello!"}],
)`,
    },
    {
      label: "Langfuse",
      text: `export LANGFUSE_BASE_URL=${base}
export LANGFUSE_PUBLIC_KEY=${publicKey}
export LANGFUSE_SECRET_KEY=${key}`,
    },
    {
      label: "OpenTelemetry",
      text: `export OTEL_EXPORTER_OTLP_ENDPOINT=${base}
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer ${key}"
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`,
    },
  ];
}

export function FirstCall({
  secret = "sk-oct-…",
  publicKey = "pk-oct-…",
  model = "gpt-4.1-mini",
}: {
  secret?: string;
  publicKey?: string;
  model?: string;
}) {
  return <Snippets options={firstCallSnippets(window.location.origin, secret, publicKey, model)} />;
}
