/** One input for search and filter: plain words search, "field op value" becomes a chip. */
import { IconFilter, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { take, useApi } from "../../api/client";
import { useKeys } from "../keys";
import { useScope } from "../scope";
import { chip, clause, clauses, draft, FIELDS, fieldOf, join, OPERATORS } from "./filter";
import css from "./filter.module.css";

interface Suggestion {
  label: string;
  help: string;
  text: string; // what the input becomes
  commit: boolean;
}

function useValues(dimension: string | undefined): string[] {
  const { api, project } = useApi();
  const scope = useScope();
  const { data } = useQuery({
    queryKey: [project, "values", dimension, scope.key],
    enabled: dimension !== undefined,
    staleTime: 60_000,
    queryFn: () =>
      take(
        api.GET("/api/v1/metrics", {
          params: { query: { measures: "calls", dimensions: dimension, interval: "none", ...scope.bounds() } },
        }),
      ),
  });
  const column = dimension ?? "";
  return (data?.rows ?? []).map((row) => String(row[column] ?? "")).filter(Boolean);
}

export function FilterBar({
  filter,
  search,
  change,
  words = true,
}: {
  filter: string;
  search: string;
  change: (next: { filter?: string; q?: string }) => void;
  /** Whether plain words search; else only filters are taken. */
  words?: boolean;
}) {
  const [text, setText] = useState(search);
  const [focused, setFocused] = useState(false);
  const [index, setIndex] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(search), [search]);
  useKeys({ "/": () => input.current?.focus() });
  const chips = clauses(filter);
  const typed = draft(text);
  const field = fieldOf(typed.field);
  const values = useValues(typed.operator ? field.dimension : undefined);
  const suggestions = suggest();

  function suggest(): Suggestion[] {
    if (!typed.operator) {
      const known = FIELDS.find((one) => one.name === typed.field);
      if (known)
        return OPERATORS[known.kind].map((operator) => ({
          label: `${known.name} ${operator}`,
          help: operator === "~" ? "contains" : "",
          text: `${known.name} ${operator} `,
          commit: false,
        }));
      return FIELDS.filter((one) => one.name.includes(typed.field.toLowerCase())).map((one) => ({
        label: one.name,
        help: one.help,
        text: `${one.name}${one.name.endsWith(".") ? "" : ` ${OPERATORS[one.kind][0]} `}`,
        commit: false,
      }));
    }
    const wanted = typed.value.replace(/^"/, "").toLowerCase();
    return (field.values ?? values)
      .filter((value) => value.toLowerCase().includes(wanted))
      .slice(0, 12)
      .map((value) => ({ label: value, help: "", text: clause(field.name, typed.operator, value), commit: true }));
  }

  const commit = (made: string) => {
    setText("");
    setIndex(-1);
    change({ filter: join([...chips, made]), q: search && draft(search).operator === "" ? search : undefined });
  };
  const take_ = (one: Suggestion) => {
    if (one.commit) commit(one.text);
    else {
      setText(one.text);
      setIndex(-1);
      input.current?.focus();
    }
  };
  const enter = () => {
    const picked = suggestions[index];
    if (picked) take_(picked);
    else if (typed.operator && typed.value) commit(clause(typed.field, typed.operator, typed.value));
    else {
      if (words) change({ filter: join(chips), q: text.trim() || undefined });
      input.current?.blur();
    }
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setIndex(Math.min(index + 1, suggestions.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(index - 1, -1));
    else if (event.key === "Tab" && focused && suggestions.length > 0 && text !== "")
      take_(suggestions[Math.max(index, 0)] as Suggestion);
    else if (event.key === "Enter") enter();
    else if (event.key === "Escape") input.current?.blur();
    else if (event.key === "Backspace" && text === "" && chips.length > 0)
      change({ filter: join(chips.slice(0, -1)), q: search || undefined });
    else return;
    event.preventDefault();
  };
  const open = focused && suggestions.length > 0;
  return (
    <div className={css.filter}>
      <IconFilter size={14} stroke={1.7} className={css.filterIcon} />
      {chips.map((one, place) => {
        const parts = chip(one);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: equal clauses may stand twice
          <span key={`${one}${place}`} className={css.chip} title={one}>
            {parts.operator ? (
              <>
                <b>{parts.field}</b> <i>{parts.operator}</i> {parts.value}
              </>
            ) : (
              one
            )}
            <button
              type="button"
              aria-label={`Remove filter ${one}`}
              onClick={() =>
                change({ filter: join(chips.filter((_, other) => other !== place)), q: search || undefined })
              }
            >
              <IconX size={12} />
            </button>
          </span>
        );
      })}
      <input
        ref={input}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setIndex(-1);
        }}
        onFocus={() => setFocused(true)}
        onBlur={() => window.setTimeout(() => setFocused(false), 120)}
        onKeyDown={key}
        placeholder={
          chips.length > 0 ? "and …" : `${words ? "Search, or filter" : "Filter"}: model = …, latency_ms > 1000   ( / )`
        }
        aria-label={words ? "Search or filter traces" : "Filter"}
        role="combobox"
        aria-expanded={open}
        aria-controls="filter-suggestions"
        autoComplete="off"
        spellCheck={false}
      />
      {(text || chips.length > 0) && (
        <button
          type="button"
          className={css.clear}
          aria-label="Clear search and filters"
          onClick={() => {
            setText("");
            change({ filter: undefined, q: undefined });
          }}
        >
          <IconX size={14} />
        </button>
      )}
      {open && (
        <div className={css.suggestions} id="filter-suggestions" role="listbox">
          {suggestions.map((one, place) => (
            <div
              key={one.label}
              role="option"
              tabIndex={-1}
              aria-selected={place === index}
              onMouseDown={(event) => {
                event.preventDefault();
                take_(one);
              }}
              onMouseMove={() => setIndex(place)}
            >
              <span className="mono">{one.label}</span>
              <span className="muted">{one.help}</span>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
