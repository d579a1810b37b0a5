/** The telling words of a preview: stored contents are often JSON, cut off in the middle. */
const TEXTS = /"(?:content|text|input|prompt|message|output)"\s*:\s*"((?:[^"\\]|\\.)*)/g;

function unquote(text: string): string {
  try {
    return JSON.parse(`"${text.replace(/\\u?[0-9a-fA-F]{0,3}$/, "")}"`) as string;
  } catch {
    return text;
  }
}

/** The last thing said in an input, the first in an output. */
export function preview(text: string, side: "input" | "output"): string {
  if (!/^\s*[[{]/.test(text)) return text;
  const found = [...text.matchAll(TEXTS)].map((match) => match[1] ?? "").filter(Boolean);
  const said = side === "input" ? found.at(-1) : found[0];
  if (said !== undefined) return unquote(said);
  const call = /"name"\s*:\s*"([^"]+)"/.exec(text);
  return side === "output" && call && text.includes("tool") ? `calls ${call[1]}` : text;
}
