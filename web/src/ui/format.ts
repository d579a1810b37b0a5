/** Numbers as people read them: aligned units, never more digits than matter. */

const THIN = "\u2009";

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms === 0) return "0";
  if (ms < 1) return `${(ms * 1000).toFixed(0)}${THIN}µs`;
  if (ms < 10) return `${ms.toFixed(1)}${THIN}ms`;
  if (ms < 1000) return `${ms.toFixed(0)}${THIN}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)}${THIN}s`;
  if (ms < 3_600_000) return joined(Math.floor(ms / 60_000), "m", Math.floor((ms % 60_000) / 1000), "s");
  return joined(Math.floor(ms / 3_600_000), "h", Math.floor((ms % 3_600_000) / 60_000), "m");
}

function joined(whole: number, unit: string, rest: number, smaller: string): string {
  return rest === 0 ? `${whole}${THIN}${unit}` : `${whole}${THIN}${unit} ${rest}${THIN}${smaller}`;
}

export function uptime(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)}${THIN}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}${THIN}h ${Math.floor((seconds % 3600) / 60)}${THIN}min`;
  return `${Math.floor(seconds / 86_400)}${THIN}d ${Math.floor((seconds % 86_400) / 3600)}${THIN}h`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 999 · 12.4k · 3.2M */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size < 10_000) return whole.format(value);
  if (size < 1_000_000) return `${(value / 1000).toFixed(size < 100_000 ? 1 : 0)}k`;
  if (size < 1_000_000_000) return `${(value / 1_000_000).toFixed(size < 100_000_000 ? 1 : 0)}M`;
  return `${(value / 1_000_000_000).toFixed(1)}B`;
}

export function integer(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : whole.format(value);
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const value = share * 100;
  return value === 0 ? "0%" : value < 0.1 ? "<0.1%" : `${value.toFixed(value < 10 ? 1 : 0)}%`;
}

/** US dollars with as many digits as the size needs: $12.40 · $0.0312 · $0.000082 */
export function usd(value: string | number): string {
  const amount = typeof value === "number" ? value : Number(value);
  if (Number.isNaN(amount)) return "–";
  if (amount === 0) return "$0";
  const size = Math.abs(amount);
  if (size >= 1000) return `$${whole.format(amount)}`;
  if (size >= 1) return `$${amount.toFixed(2)}`;
  if (size >= 0.01) return `$${amount.toFixed(4)}`;
  if (size >= 0.000_001) return `$${amount.toFixed(6)}`;
  return `$${amount.toPrecision(2)}`;
}

const exactTime = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

export function exact(time: string | Date): string {
  return exactTime.format(new Date(time));
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });
const dayYear = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });

export function clockTime(time: string): string {
  return clock.format(new Date(time));
}

/** "12 s ago", "5 min ago", "3 h ago", then a date; in the future "in 5 d". */
export function relative(time: string | Date, now: number): string {
  const at = new Date(time).getTime();
  const seconds = (now - at) / 1000;
  if (seconds < -2) {
    const ahead = -seconds;
    if (ahead < 3600) return `in ${Math.ceil(ahead / 60)} min`;
    if (ahead < 86_400) return `in ${Math.round(ahead / 3600)} h`;
    return `in ${Math.round(ahead / 86_400)} d`;
  }
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  const date = new Date(at);
  return (date.getFullYear() === new Date(now).getFullYear() ? day : dayYear).format(date);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}
