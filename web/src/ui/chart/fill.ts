/** Buckets of a time range, those without rows too. */
export function filled(
  at: ReadonlyMap<number, number | null>,
  step: number,
  range: { from: number; to: number },
  empty: 0 | null,
): [number, number | null][] {
  if (step <= 0) return [...at.entries()];
  const points: [number, number | null][] = [];
  for (let time = Math.floor(range.from / step) * step; time < range.to; time += step)
    points.push([time, at.get(time) ?? empty]);
  return points;
}
