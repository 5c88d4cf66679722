/**
 * The small checks of which those of frames are put together. Each answers with what is wrong, or
 * with nothing. A field that is `null` is taken for one that is absent: codecs differ in this.
 */
import { BOUNDS } from './bounds.ts';

/** What is wrong with a value; `undefined` when nothing is. */
export type FieldCheck = (value: unknown) => string | undefined;

export const natural: FieldCheck = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'is no whole number';

/** A version, an author: a whole number above 0. */
export const version: FieldCheck = (value) =>
  Number.isSafeInteger(value) && (value as number) > 0 ? undefined : 'is no number above 0';

export const finite: FieldCheck = (value) =>
  Number.isFinite(value) ? undefined : 'is no finite number';

export const instant = finite;

export const span: FieldCheck = (value) =>
  Number.isFinite(value) && (value as number) >= 0 ? undefined : 'is no span of time';

export const flag: FieldCheck = (value) =>
  typeof value === 'boolean' ? undefined : 'is neither true nor false';

export const bytes: FieldCheck = (value) =>
  value instanceof Uint8Array ? undefined : 'is no run of bytes';

export const text =
  (charsMax: number): FieldCheck =>
  (value) => {
    if (typeof value !== 'string') return 'is no text';
    return value.length <= charsMax ? undefined : `is longer than ${charsMax} characters`;
  };

const SHA256 = /^[0-9a-f]{64}$/;

/** It becomes the name of a file. */
export const digest: FieldCheck = (value) =>
  typeof value === 'string' && SHA256.test(value) ? undefined : 'is no digest';

const HALF_CHARACTER = /\p{Surrogate}/u;

/** A key of a record. */
export const id: FieldCheck = (value) => {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'is no key';
  if (typeof value !== 'string' || value.length > BOUNDS.keyChars) return 'is no key';
  return HALF_CHARACTER.test(value) ? 'is a key with half a character' : undefined;
};

export const exactly =
  (...words: readonly string[]): FieldCheck =>
  (value) =>
    typeof value === 'string' && words.includes(value) ? undefined : `is none of ${words.join()}`;

export const optional =
  (check: FieldCheck): FieldCheck =>
  (value) =>
    value === undefined || value === null ? undefined : check(value);

export const anyOf =
  (...checks: readonly FieldCheck[]): FieldCheck =>
  (value) => {
    let problem: string | undefined;
    for (const check of checks) {
      problem = check(value);
      if (problem === undefined) return undefined;
    }
    return problem;
  };

export const listOf =
  (check: FieldCheck, max: number): FieldCheck =>
  (value) => {
    if (!Array.isArray(value)) return 'is no list';
    if (value.length > max) return `has more than ${max} elements`;
    for (const one of value) {
      const problem = check(one);
      if (problem !== undefined) return `an element ${problem}`;
    }
    return undefined;
  };

export const pairOf =
  (first: FieldCheck, second: FieldCheck): FieldCheck =>
  (value) =>
    Array.isArray(value) && value.length === 2
      ? (first(value[0]) ?? second(value[1]))
      : 'is no pair';

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array);

/** Named fields; others are left alone. */
export function shape(fields: Readonly<Record<string, FieldCheck>>): FieldCheck {
  const checks = Object.entries(fields);
  return (value) => {
    if (!isPlain(value)) return 'is no object';
    for (const [name, check] of checks) {
      const problem = check(value[name]);
      if (problem !== undefined) return `${name} ${problem}`;
    }
    return undefined;
  };
}

/** An object with any names, so many at most. */
export const mapOf =
  (check: FieldCheck, max: number): FieldCheck =>
  (value) => {
    if (!isPlain(value)) return 'is no object';
    const entries = Object.entries(value);
    if (entries.length > max) return `has more than ${max} names`;
    for (const [name, one] of entries) {
      const problem = check(one);
      if (problem !== undefined) return `${name.slice(0, 80)} ${problem}`;
    }
    return undefined;
  };
