/** Texts to copy, JSON to fold, markdown to read. */
import { lazy, Suspense, useMemo, useState } from "react";
import { Copy } from "./atoms";
import css from "./ui.module.css";

export function Code({ text, wrap }: { text: string; wrap?: boolean }) {
  return (
    <div className={css.code}>
      <span className={css.codeCopy}>
        <Copy value={text} />
      </span>
      <pre data-wrap={wrap}>{text}</pre>
    </div>
  );
}

/** Several ways to say the same, one tab each. */
export function Snippets({ options }: { options: { label: string; text: string }[] }) {
  const [chosen, choose] = useState(0);
  const current = options[chosen] ?? options[0];
  if (!current) return null;
  return (
    <div className={css.code}>
      <div className={css.codeTabs} role="tablist">
        {options.map((option, index) => (
          <button
            key={option.label}
            type="button"
            role="tab"
            aria-selected={option === current}
            className={css.codeTab}
            onClick={() => choose(index)}
          >
            {option.label}
          </button>
        ))}
        <span className="grow" />
        <Copy value={current.text} label={`Copy ${current.label}`} />
      </div>
      <pre>{current.text}</pre>
    </div>
  );
}

export function parseJson(text: string): unknown {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A collapsible tree; long arrays and texts open by demand, so that a megabyte does not freeze the page. */
export function Json({ value, open = 3 }: { value: unknown; open?: number }) {
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "", [value]);
  return (
    <div className={css.code}>
      <span className={css.codeCopy}>
        <Copy value={text} label="Copy JSON" />
      </span>
      <div className={css.json}>
        <Node value={value} depth={0} open={open} last />
      </div>
    </div>
  );
}

const CHUNK = 100;
const LONG = 1500;

function Node({
  name,
  value,
  depth,
  open,
  last,
}: {
  name?: string;
  value: unknown;
  depth: number;
  open: number;
  last?: boolean;
}) {
  const [unfolded, unfold] = useState(depth < open);
  const [shown, show] = useState(CHUNK);
  const key = name !== undefined && (
    <>
      <span className={css.jsonKey}>{JSON.stringify(name)}</span>
      <span className={css.jsonQuiet}>: </span>
    </>
  );
  const comma = last ? null : <span className={css.jsonQuiet}>,</span>;
  if (typeof value !== "object" || value === null)
    return (
      <span className={css.jsonRow}>
        {key}
        <Leaf value={value} />
        {comma}
      </span>
    );
  const list = Array.isArray(value);
  const entries: [string | undefined, unknown][] = list
    ? value.map((one) => [undefined, one])
    : Object.entries(value as Record<string, unknown>);
  const [before, after] = list ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0)
    return (
      <span className={css.jsonRow}>
        {key}
        {before}
        {after}
        {comma}
      </span>
    );
  return (
    <span className={css.jsonRow}>
      <button
        type="button"
        className={css.jsonToggle}
        aria-expanded={unfolded}
        aria-label={unfolded ? "Fold" : "Unfold"}
        onClick={() => unfold(!unfolded)}
      >
        {unfolded ? "▾" : "▸"}
      </button>
      {key}
      {before}
      {unfolded ? (
        <>
          {entries.slice(0, shown).map(([one, child], index) => (
            <Node
              key={one ?? String(index)}
              name={one}
              value={child}
              depth={depth + 1}
              open={open}
              last={index === entries.length - 1}
            />
          ))}
          {entries.length > shown && (
            <span className={css.jsonRow}>
              <button type="button" className={css.codeTab} onClick={() => show(shown + CHUNK * 5)}>
                … {entries.length - shown} more
              </button>
            </span>
          )}
        </>
      ) : (
        <span className={css.jsonQuiet}>
          {" "}
          {entries.length} {list ? "items" : "keys"}{" "}
        </span>
      )}
      {after}
      {comma}
    </span>
  );
}

function Leaf({ value }: { value: unknown }) {
  const [whole, showWhole] = useState(false);
  if (typeof value === "string") {
    if (value.length > LONG && !whole)
      return (
        <span className={css.jsonString}>
          {JSON.stringify(value.slice(0, LONG))}{" "}
          <button type="button" className={css.codeTab} onClick={() => showWhole(true)}>
            … {value.length - LONG} more characters
          </button>
        </span>
      );
    return <span className={css.jsonString}>{JSON.stringify(value)}</span>;
  }
  if (typeof value === "number") return <span className={css.jsonNumber}>{String(value)}</span>;
  return <span className={css.jsonWord}>{String(value)}</span>;
}

const Rendered = lazy(() => import("./markdown"));

/** Markdown without raw HTML; plain text until the renderer is loaded. */
export function Markdown({ text }: { text: string }) {
  return (
    <Suspense
      fallback={
        <div className={css.markdown} style={{ whiteSpace: "pre-wrap" }}>
          {text}
        </div>
      }
    >
      <div className={css.markdown}>
        <Rendered text={text} />
      </div>
    </Suspense>
  );
}
