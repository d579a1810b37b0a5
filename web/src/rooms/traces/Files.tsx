/** Files that a span refers to and Octavo keeps: pictures, sounds and films in place, any other to open. */
import { IconFile } from "@tabler/icons-react";
import { useApi } from "../../api/client";
import type { Span } from "../../api/types";
import { type KeptFile, type Message, references } from "../../ui/conversation";
import css from "./traces.module.css";

export function File({ file }: { file: KeptFile }) {
  const { project } = useApi();
  const source = `/api/v1/projects/${encodeURIComponent(project)}/media/${encodeURIComponent(file.id)}`;
  const [family] = file.mime.split("/");
  // biome-ignore lint/a11y/useMediaCaption: what was recorded has no captions
  if (family === "audio") return <audio controls preload="none" src={source} className={css.sound} />;
  // biome-ignore lint/a11y/useMediaCaption: what was recorded has no captions
  if (family === "video") return <video controls preload="none" src={source} className={css.picture} />;
  return (
    <a href={source} target="_blank" rel="noreferrer" title={`Open ${file.mime}`}>
      {family === "image" ? (
        <img className={css.picture} src={source} alt={`${file.mime} ${file.id}`} loading="lazy" />
      ) : (
        <span className={css.file}>
          <IconFile size={14} /> {file.mime} <span className="mono">{file.id}</span>
        </span>
      )}
    </a>
  );
}

/** The files of a span that its messages do not show in their place. */
export function Files({ span, messages }: { span: Span; messages: Message[] }) {
  const shown = new Set(
    messages.flatMap((one) => one.parts.map((part) => (part.type === "media" ? part.file.id : ""))),
  );
  const files = references(`${span.input} ${span.output} ${JSON.stringify(span.metadata)}`).filter(
    (file) => !shown.has(file.id),
  );
  if (files.length === 0) return null;
  return (
    <section>
      <h3 className={css.blockTitle}>{files.length === 1 ? "File" : `${files.length} files`}</h3>
      <div className={css.files}>
        {files.map((file) => (
          <File key={file.id} file={file} />
        ))}
      </div>
    </section>
  );
}
