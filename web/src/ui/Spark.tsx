/** A tiny bar chart without axes. */
export function Spark({
  points,
  tone = "--bad",
  width = 110,
  height = 24,
}: {
  points: number[];
  tone?: string;
  width?: number;
  height?: number;
}) {
  const most = Math.max(1, ...points);
  const step = width / Math.max(1, points.length);
  return (
    <svg width={width} height={height} aria-hidden="true" style={{ display: "block" }}>
      {points.map((value, place) => {
        const tall = value === 0 ? 1 : Math.max(2, (value / most) * height);
        return (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: points are places in time
            key={place}
            x={place * step}
            y={height - tall}
            width={Math.max(1, step - 1)}
            height={tall}
            fill={`var(${value === 0 ? "--line-strong" : tone})`}
          />
        );
      })}
    </svg>
  );
}
