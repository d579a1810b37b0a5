/** Any client's input or output as messages: OpenAI chat and responses, Anthropic, Gemini, OTel GenAI, plain text. */
import { parseJson } from "./code";

export type Part =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | { type: "image"; source: string }
  | { type: "file"; label: string }
  | { type: "media"; file: KeptFile }
  | { type: "call"; id: string; name: string; arguments: unknown }
  | { type: "result"; id: string; name: string; content: unknown }
  | { type: "json"; value: unknown };

/** A file that the server keeps beside the span. */
export interface KeptFile {
  mime: string;
  id: string;
}

export interface Message {
  role: string;
  name?: string;
  parts: Part[];
}

type Bag = Record<string, unknown>;

function bag(value: unknown): value is Bag {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function word(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function maybeJson(value: unknown): unknown {
  return typeof value === "string" ? (parseJson(value) ?? value) : value;
}

function image(mime: unknown, data: unknown): string {
  return `data:${word(mime) || "image/png"};base64,${word(data)}`;
}

const MEDIA = /@@@langfuseMedia:type=([^|@]+)\|id=([\w-]+)\|source=\w+@@@/g;

const FILES = /image|audio|video|file|document|blob|media|uri/;

/** A text as its parts: words, and the files that it refers to. */
export function textParts(text: string): Part[] {
  const files = references(text);
  if (files.length === 0) return [{ type: "text", text }];
  const said = text.replace(MEDIA, "").trim();
  return [
    ...(said ? [{ type: "text" as const, text: said }] : []),
    ...files.map((file) => ({ type: "media" as const, file })),
  ];
}

/** The files that a text refers to, each once. */
export function references(text: string): KeptFile[] {
  const found = new Map<string, KeptFile>();
  for (const [, mime = "", id = ""] of text.matchAll(MEDIA)) found.set(id, { mime, id });
  return [...found.values()];
}

/** One block of content, in whichever dialect it is. */
function partOf(block: unknown): Part {
  if (!bag(block)) return { type: "json", value: block };
  const [file] = FILES.test(word(block.type)) || bag(block.inline_data) ? references(JSON.stringify(block)) : [];
  if (file) return { type: "media", file };
  switch (block.type) {
    case "text":
    case "input_text":
    case "output_text":
      return { type: "text", text: word(block.text) || word(block.content) };
    case "refusal":
      return { type: "text", text: word(block.refusal) };
    case "image_url":
      return { type: "image", source: bag(block.image_url) ? word(block.image_url.url) : word(block.image_url) };
    case "input_image":
      return { type: "image", source: word(block.image_url) };
    case "image": {
      const source = block.source;
      if (bag(source))
        return {
          type: "image",
          source: source.type === "url" ? word(source.url) : image(source.media_type, source.data),
        };
      return { type: "image", source: word(block.url) || word(block.content) };
    }
    case "input_audio":
    case "audio":
      return { type: "file", label: "audio" };
    case "file":
    case "input_file":
    case "document":
      return { type: "file", label: word(block.filename) || word(block.title) || "file" };
    case "thinking":
      return { type: "reasoning", text: word(block.thinking) };
    case "reasoning":
      return { type: "reasoning", text: reasoningText(block) };
    case "tool_use":
    case "server_tool_use":
      return { type: "call", id: word(block.id), name: word(block.name), arguments: block.input };
    case "tool_call":
      return { type: "call", id: word(block.id), name: word(block.name), arguments: maybeJson(block.arguments) };
    case "tool_result":
    case "tool_call_response":
      return {
        type: "result",
        id: word(block.tool_use_id) || word(block.id),
        name: "",
        content: maybeJson(plain(block.content ?? block.response ?? block.result)),
      };
  }
  if (typeof block.text === "string") return { type: "text", text: block.text };
  if (bag(block.inline_data))
    return { type: "image", source: image(block.inline_data.mime_type, block.inline_data.data) };
  if (bag(block.inlineData)) return { type: "image", source: image(block.inlineData.mimeType, block.inlineData.data) };
  if (bag(block.functionCall))
    return { type: "call", id: "", name: word(block.functionCall.name), arguments: block.functionCall.args };
  if (bag(block.functionResponse))
    return {
      type: "result",
      id: "",
      name: word(block.functionResponse.name),
      content: block.functionResponse.response,
    };
  return { type: "json", value: block };
}

function reasoningText(block: Bag): string {
  const summary = Array.isArray(block.summary) ? block.summary : Array.isArray(block.content) ? block.content : [];
  const lines = summary.map((one) => (bag(one) ? word(one.text) : word(one))).filter(Boolean);
  return lines.join("\n\n") || word(block.content) || word(block.text) || "(hidden by the provider)";
}

/** Text blocks folded into one text, when that is all there is. */
function plain(content: unknown): unknown {
  if (!Array.isArray(content)) return content;
  return content.every((one) => bag(one) && typeof one.text === "string")
    ? content.map((one) => word((one as Bag).text)).join("\n")
    : content;
}

function partsOf(content: unknown): Part[] {
  if (content === null || content === undefined || content === "") return [];
  if (Array.isArray(content))
    return content.flatMap((one) => {
      const part = typeof one === "string" ? ({ type: "text", text: one } as const) : partOf(one);
      return part.type === "text" ? textParts(part.text) : [part];
    });
  return typeof content === "string" ? textParts(content) : [partOf(content)];
}

function callsOf(calls: unknown): Part[] {
  if (!Array.isArray(calls)) return [];
  return calls.filter(bag).map((call) => {
    const inner = bag(call.function) ? call.function : call;
    return {
      type: "call",
      id: word(call.id),
      name: word(inner.name),
      arguments: maybeJson(inner.arguments ?? inner.args),
    };
  });
}

function messageOf(given: Bag, role = "assistant"): Message {
  const said = word(given.role) || role;
  if (said === "tool" || said === "function") {
    const parts = partsOf(given.parts ?? undefined);
    return {
      role: "tool",
      parts: parts.length
        ? parts
        : [
            {
              type: "result",
              id: word(given.tool_call_id),
              name: word(given.name),
              content: maybeJson(plain(given.content)),
            },
          ],
    };
  }
  const reasoning = word(given.reasoning_content) || word(given.reasoning);
  return {
    role: said === "model" ? "assistant" : said,
    name: word(given.name) || undefined,
    parts: [
      ...(reasoning ? [{ type: "reasoning", text: reasoning } as const] : []),
      ...partsOf(given.parts ?? given.content),
      ...(given.refusal ? [{ type: "text", text: word(given.refusal) } as const] : []),
      ...callsOf(given.tool_calls),
      ...(bag(given.function_call) ? callsOf([given.function_call]) : []),
    ],
  };
}

/** An item of OpenAI's Responses API. */
function itemOf(item: unknown, role: string): Message {
  if (typeof item === "string") return { role, parts: textParts(item) };
  if (!bag(item)) return { role, parts: [{ type: "json", value: item }] };
  switch (item.type) {
    case "function_call":
      return {
        role: "assistant",
        parts: [{ type: "call", id: word(item.call_id), name: word(item.name), arguments: maybeJson(item.arguments) }],
      };
    case "function_call_output":
      return {
        role: "tool",
        parts: [{ type: "result", id: word(item.call_id), name: "", content: maybeJson(item.output) }],
      };
    case "reasoning":
      return { role: "assistant", parts: [{ type: "reasoning", text: reasoningText(item) }] };
  }
  if (item.role !== undefined || item.content !== undefined || item.parts !== undefined) return messageOf(item, role);
  return { role, parts: [partOf(item)] };
}

function isMessage(value: unknown): boolean {
  return bag(value) && (typeof value.role === "string" || typeof value.type === "string");
}

function read(value: unknown, role: string): Message[] | null {
  if (Array.isArray(value))
    return value.length > 0 && value.every(isMessage) ? value.map((one) => itemOf(one, role)) : null;
  if (!bag(value)) return null;
  const system = value.system ?? value.instructions ?? value.systemInstruction ?? value.system_instruction;
  const opening: Message[] =
    system && (typeof system === "string" || typeof system === "object")
      ? [{ role: "system", parts: partsOf(bag(system) && system.parts ? system.parts : system) }]
      : [];
  if (Array.isArray(value.messages)) return [...opening, ...value.messages.map((one) => itemOf(one, "user"))];
  if (Array.isArray(value.contents))
    return [...opening, ...value.contents.filter(bag).map((one) => messageOf(one, "user"))];
  if (Array.isArray(value.choices))
    return value.choices.filter(bag).map((choice) => {
      if (bag(choice.message)) return messageOf(choice.message);
      return { role: "assistant", parts: [{ type: "text", text: word(choice.text) }] };
    });
  if (Array.isArray(value.output)) return value.output.map((one) => itemOf(one, "assistant"));
  if (Array.isArray(value.candidates))
    return value.candidates.filter(bag).map((one) => messageOf(bag(one.content) ? one.content : one));
  if (typeof value.prompt === "string") return [{ role: "user", parts: [{ type: "text", text: value.prompt }] }];
  if (value.input !== undefined && (value.model !== undefined || value.instructions !== undefined)) {
    const items = Array.isArray(value.input) ? value.input : [value.input];
    return [...opening, ...items.map((one) => itemOf(one, "user"))];
  }
  if (typeof value.role === "string" || (value.type === "message" && value.content !== undefined))
    return [messageOf(value, role)];
  return null;
}

/** The messages in a text, or null when it is not a conversation. */
export function conversation(text: string, role: "user" | "assistant"): Message[] | null {
  const value = parseJson(text);
  return value === undefined ? null : read(value, role);
}
