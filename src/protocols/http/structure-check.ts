/**
 * The bookkeeping by which a binary body is judged before a decoder sees it: how deep it nests, and
 * whether it can hold what its heads promise. A decoder reserves room for the length that a head
 * names, so five bytes may cost hundreds of megabytes; here they cost a refusal.
 *
 * Invariant: the values owed to open containers never outnumber the bytes that are left.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { type StructureLimits, tooDeep, tooManyKeys } from './json-structure.ts';

/** A container which ends with a mark of its own instead of a count. */
const UNTIL_BREAK = -1;

export class StructureCheck {
  readonly #format: string;
  readonly #depthMax: number;
  readonly #keysMax: number;
  readonly #open: number[] = [];
  /** Levels at which pairs come one after the other without a count, and values in them. */
  readonly #loose: number[] = [];
  #owed = 1;
  /** Properties of the record that is being read: of an element, when the whole is a list. */
  #keys = 0;
  #isList: boolean | undefined;

  constructor(format: string, { depthMax, keysMax }: StructureLimits) {
    this.#format = format;
    this.#depthMax = depthMax;
    this.#keysMax = keysMax ?? LIMITS.jsonKeysMax;
  }

  /** Every value that was promised has been seen. */
  get isComplete(): boolean {
    return this.#owed <= 0 && this.#open.length === 0;
  }

  /** A value begins: the container around it owes one less. */
  take(): void {
    const top = this.#open.length - 1;
    const left = this.#open[top];
    if (top === 0 && this.#isList === true) this.#keys = 0;
    if (left === UNTIL_BREAK) {
      // Names and values in turns: half a property each.
      if (this.#loose.at(-1) === top) this.#count(0.5);
      return;
    }
    if (left !== undefined) this.#open[top] = left - 1;
    this.#owed -= 1;
  }

  /** A list of `count` values begins; `leftBytes` follow its head. */
  open(count: number, leftBytes: number): void {
    this.#isList ??= true;
    this.#owe(count, leftBytes);
  }

  /** A map of `count` pairs begins. */
  openMap(count: number, leftBytes: number): void {
    this.#isList ??= false;
    this.#count(count);
    this.#owe(count * 2, leftBytes);
  }

  #owe(count: number, leftBytes: number): void {
    this.#owed += count;
    if (this.#owed > leftBytes) throw this.malformed('it ends before its last value');
    this.#push(count);
  }

  openUntilBreak(isMap: boolean): void {
    this.#isList ??= !isMap;
    if (isMap) this.#loose.push(this.#open.length);
    this.#push(UNTIL_BREAK);
  }

  /** The mark which ends a container without a count. */
  breakOff(): void {
    if (this.#open.pop() !== UNTIL_BREAK) throw this.malformed('it ends what it did not begin');
    if (this.#loose.at(-1) === this.#open.length) this.#loose.pop();
  }

  /** Closes the containers which are full. */
  settle(): void {
    while (this.#open.at(-1) === 0) this.#open.pop();
  }

  /** Text or bytes of `length` must fit into what is left. */
  fits(length: number, leftBytes: number): number {
    if (length > leftBytes) throw this.malformed('it ends inside a value');
    return length;
  }

  malformed(why: string, cause?: unknown): NodeError {
    return new NodeError(
      'BODY_MALFORMED',
      `the request body is not valid ${this.#format}: ${why}`,
      {
        blame: 'client',
        cause,
      },
    );
  }

  #count(keys: number): void {
    this.#keys += keys;
    if (this.#keys > this.#keysMax) throw tooManyKeys(this.#keysMax);
  }

  #push(count: number): void {
    if (this.#open.length >= this.#depthMax) throw tooDeep(this.#depthMax);
    this.#open.push(count);
  }
}

/** A big-endian unsigned number of 1, 2, 4 or 8 bytes; beyond the end it is not a number. */
export function unsignedAt(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) return Number.NaN;
  let value = 0;
  for (let index = at; index < at + size; index += 1) value = value * 256 + (bytes[index] ?? 0);
  return value;
}
