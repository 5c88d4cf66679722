/**
 * The bookkeeping by which a binary body is judged before a decoder sees it: how deep it nests, and
 * whether it can hold what its heads promise. A decoder reserves room for the length that a head
 * names, so five bytes may cost hundreds of megabytes; here they cost a refusal.
 *
 * Invariant: the values owed to open containers never outnumber the bytes that are left.
 */
import { NodeError } from '../../base/errors.ts';

/** A container which ends with a mark of its own instead of a count. */
const UNTIL_BREAK = -1;

export class StructureCheck {
  readonly #format: string;
  readonly #depthMax: number;
  readonly #open: number[] = [];
  #owed = 1;

  constructor(format: string, depthMax: number) {
    this.#format = format;
    this.#depthMax = depthMax;
  }

  /** Every value that was promised has been seen. */
  get isComplete(): boolean {
    return this.#owed <= 0 && this.#open.length === 0;
  }

  /** A value begins: the container around it owes one less. */
  take(): void {
    const top = this.#open.length - 1;
    const left = this.#open[top];
    if (left === UNTIL_BREAK) return;
    if (left !== undefined) this.#open[top] = left - 1;
    this.#owed -= 1;
  }

  /** A container of `count` values begins; `leftBytes` follow its head. */
  open(count: number, leftBytes: number): void {
    this.#owed += count;
    if (this.#owed > leftBytes) throw this.malformed('it ends before its last value');
    this.#push(count);
  }

  openUntilBreak(): void {
    this.#push(UNTIL_BREAK);
  }

  /** The mark which ends a container without a count. */
  breakOff(): void {
    if (this.#open.pop() !== UNTIL_BREAK) throw this.malformed('it ends what it did not begin');
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

  #push(count: number): void {
    if (this.#open.length >= this.#depthMax) {
      throw this.malformed(`nested deeper than ${this.#depthMax} levels`);
    }
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
