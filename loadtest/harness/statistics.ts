/** Medians and spreads: a single run on a shared machine says little, several say how little. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The value below which `fraction` of the values lie. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

/** `median (least to most)`. */
export function spread(values: readonly number[], digits = 2): string {
  if (values.length === 0) return '–';
  const show = (value: number) => value.toFixed(digits);
  const range = `${show(Math.min(...values))} to ${show(Math.max(...values))}`;
  return values.length === 1 ? show(median(values)) : `${show(median(values))} (${range})`;
}
