/** Messages as a chat: roles, markdown, images, tool calls and their results, reasoning folded. */
import { IconArrowForward, IconBrain, IconChevronRight, IconFile, IconTool } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { Copy } from "../../ui/atoms";
import { Code, Json, Markdown, parseJson } from "../../ui/code";
import type { Message, Part } from "../../ui/conversation";
import { File } from "./Files";
import css from "./traces.module.css";

const FOLD_AT = 4000;

function Text({ text, prose }: { text: string; prose: boolean }) {
  const [whole, open] = useState(text.length <= FOLD_AT);
  const value = prose ? parseJson(text) : undefined;
  if (value !== undefined) return <Json value={value} />;
  const shown = whole ? text : text.slice(0, FOLD_AT);
  return (
    <>
      {prose ? <Markdown text={shown} /> : <div className={css.plain}>{shown}</div>}
      {!whole && (
        <button type="button" className={css.more} onClick={() => open(true)}>
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </>
  );
}

function Fold({
  icon,
  title,
  note,
  open,
  children,
}: {
  icon: ReactNode;
  title: ReactNode;
  note?: string;
  open?: boolean;
  children: ReactNode;
}) {
  return (
    <details className={css.card} open={open}>
      <summary>
        <IconChevronRight size={13} className={css.chevron} />
        {icon}
        <span className="truncate">{title}</span>
        {note && <span className={css.cardNote}>{note}</span>}
      </summary>
      <div className={css.cardBody}>{children}</div>
    </details>
  );
}

function Value({ value }: { value: unknown }) {
  if (typeof value === "string") return <Code text={value} wrap />;
  return <Json value={value} />;
}

function Picture({ source }: { source: string }) {
  // Only pictures that are in the record are shown; loading one from elsewhere would tell its owner who reads.
  if (!source.startsWith("data:image/"))
    return (
      <span className={css.file}>
        <IconFile size={14} /> image at <span className="mono truncate">{source.slice(0, 120)}</span>
      </span>
    );
  return (
    <a href={source} download="image" title="Save the picture">
      <img className={css.picture} src={source} alt="Part of the message" />
    </a>
  );
}

function PartView({ part, role }: { part: Part; role: string }) {
  switch (part.type) {
    case "text":
      return <Text text={part.text} prose={role === "assistant" || role === "user" || role === "system"} />;
    case "reasoning":
      return (
        <Fold
          icon={<IconBrain size={14} />}
          title="Reasoning"
          note={`${part.text.length.toLocaleString("en")} characters`}
        >
          <div className={css.plain}>{part.text}</div>
        </Fold>
      );
    case "image":
      return <Picture source={part.source} />;
    case "media":
      return <File file={part.file} />;
    case "file":
      return (
        <span className={css.file}>
          <IconFile size={14} /> {part.label}
        </span>
      );
    case "call":
      return (
        <Fold
          icon={<IconTool size={14} className={css.toolIcon} />}
          title={<b>{part.name || "tool"}</b>}
          note={part.id}
          open
        >
          <Value value={part.arguments ?? {}} />
        </Fold>
      );
    case "result":
      return (
        <Fold
          icon={<IconArrowForward size={14} className={css.toolIcon} />}
          title={part.name ? `Result of ${part.name}` : "Tool result"}
          note={part.id}
          open
        >
          <Value value={part.content} />
        </Fold>
      );
    case "json":
      return <Json value={part.value} />;
  }
}

function copyText(message: Message): string {
  return message.parts
    .map((part) => (part.type === "text" || part.type === "reasoning" ? part.text : JSON.stringify(part)))
    .join("\n");
}

export function Messages({ messages }: { messages: Message[] }) {
  return (
    <div className={css.messages}>
      {messages.map((message, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: messages have no id and never move
        <article key={place} className={css.message} data-role={message.role}>
          <header>
            <span className={css.role}>{message.role}</span>
            {message.name && <span className="muted">{message.name}</span>}
            <span className="grow" />
            <span className={css.messageCopy}>
              <Copy value={copyText(message)} label="Copy message" />
            </span>
          </header>
          <div className={css.messageBody}>
            {message.parts.length === 0 && <span className="muted">(empty)</span>}
            {message.parts.map((part, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: parts have no id and never move
              <PartView key={index} part={part} role={message.role} />
            ))}
          </div>
        </article>
      ))}
    </div>
  );
}
