/**
 * Quantities as people write them: `10s`, `1h30m`, `8MiB`, `10%`. Each function returns `undefined`
 * for what it cannot read; the caller knows the place and says what was wanted.
 */
import { type DurationMs, durationMs } from '../base/brands.ts';

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
};

/** A span: numbers with units, the larger first (`1h30m`). `0` needs no unit, all else does. */
export function parseDuration(written: unknown): DurationMs | undefined {
  if (written === 0 || written === '0') return durationMs(0);
  if (typeof written !== 'string') return undefined;
  const text = written.replaceAll(' ', '');
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(number) * (MS_PER_UNIT[unit ?? ''] ?? Number.NaN);
  }
  const rounded = Math.round(total);
  return Number.isSafeInteger(rounded) ? durationMs(rounded) : undefined;
}

/** A number of bytes: `8MiB`, `10MB`, or a whole number. */
export function parseSize(written: unknown): number | undefined {
  if (typeof written === 'number') return isCount(written) ? written : undefined;
  if (typeof written !== 'string') return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([KMGTk]?i?B)?$/.exec(written.trim());
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (BYTES_PER_UNIT[match[2] ?? 'B'] ?? Number.NaN);
  const rounded = Math.round(bytes);
  return isCount(rounded) ? rounded : undefined;
}

/** A share from 0 to 1: `10%` or `0.1`. */
export function parseShare(written: unknown): number | undefined {
  if (typeof written !== 'string' && typeof written !== 'number') return undefined;
  const match = typeof written === 'string' ? /^(\d+(?:\.\d+)?) ?%$/.exec(written.trim()) : null;
  const share =
    match === null ? Number(written === '' ? Number.NaN : written) : Number(match[1]) / 100;
  return share >= 0 && share <= 1 ? share : undefined;
}

/** A whole number from 0, as a number or its digits. */
export function parseCount(written: unknown): number | undefined {
  const count = typeof written === 'string' && /^\d+$/.test(written) ? Number(written) : written;
  return isCount(count) ? count : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
