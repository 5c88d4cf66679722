/**
 * Merging a patch into a record: by top-level property, with increments (`{"__op__":"add"}`), or
 * as a JSON merge patch [RFC7396]. Besides the merged record it yields which attributes were
 * touched and what was added to which counter: replicas merge by these.
 */
import type { Entry } from './entry.ts';
import { holdsRecord } from './record-json.ts';

export type JsonObject = Record<string, unknown>;

export interface Merged {
  readonly record: JsonObject;
  readonly touched: readonly string[];
  /** Attribute → what was added to it. */
  readonly added: Readonly<Record<string, number>>;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The JSON object in `bytes`; `undefined` when they are anything else. */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(),
    );
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The record which an entry holds; `undefined` for bytes of another kind. */
export const storedRecord = (entry: Entry): JsonObject | undefined =>
  holdsRecord(entry) ? parseObject(entry.body) : undefined;

/** The amount of an increment; `undefined` when the value is none. */
function increment(value: unknown): number | undefined {
  if (!isObject(value) || value.__op__ !== 'add') return undefined;
  return typeof value.value === 'number' && Number.isFinite(value.value) ? value.value : undefined;
}

/** What a property of a patch has for an operation, though there is none such. */
export function unknownOperation(patch: JsonObject): string | undefined {
  for (const [name, value] of Object.entries(patch)) {
    if (!isObject(value) || !Object.hasOwn(value, '__op__')) continue;
    if (increment(value) === undefined) {
      return (
        `${name}: expected {"__op__":"add","value":<number>}, ` +
        `got ${JSON.stringify(value).slice(0, 100)}; there is no other operation`
      );
    }
  }
  return undefined;
}

/** Digits of a `BigInt` that no JSON number holds exactly are kept as text. */
const MANY_DIGITS = /^-?\d{16,302}$/;

/** What an increment adds to: 0 for what is no number. Beyond 2^53 sums are those of doubles. */
export function summand(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && MANY_DIGITS.test(value) ? Number(value) : 0;
}

export function mergeTopLevel(record: JsonObject, patch: JsonObject): Merged {
  const merged = { ...record };
  const added: Record<string, number> = {};
  for (const [name, value] of Object.entries(patch)) {
    const amount = increment(value);
    if (amount === undefined) {
      setOwn(merged, name, value);
      continue;
    }
    const before = merged[name];
    setOwn(merged, name, summand(before) + amount);
    setOwn(added, name, amount);
  }
  return { record: merged, touched: Object.keys(patch), added };
}

/**
 * [RFC7396 §2]: null removes a member, an object is merged, anything else replaces. The patch must
 * not be nested deeper than the stack allows (`isDeeperThan`).
 */
export function mergePatch(record: JsonObject, patch: JsonObject): Merged {
  return { record: applyMergePatch(record, patch), touched: Object.keys(patch), added: {} };
}

/** Whether objects are nested in `value` more than `levels` deep. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

function applyMergePatch(target: unknown, patch: JsonObject): JsonObject {
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else if (isObject(value)) {
      setOwn(merged, name, applyMergePatch(merged[name], value));
    } else setOwn(merged, name, value);
  }
  return merged;
}

/** Assignment that makes `__proto__` an ordinary property, as `JSON.parse` does. */
export function setOwn(target: JsonObject, name: string, value: unknown): void {
  if (name !== '__proto__') {
    target[name] = value;
    return;
  }
  const property = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(target, name, property);
}
