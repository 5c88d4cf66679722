/**
 * Recent changes with their rows before and after, in shared memory: one writer (the store
 * thread), any number of readers, no lock. A reader finds a change by its sequence, copies it out
 * and then looks whether the writer came by meanwhile; if so it was overrun, and the log answers.
 *
 * Places are counted in units of eight bytes, in 32 bits that wrap; distances stay right because
 * the ring is far smaller than half of that range. The space to be written is reserved (published)
 * before the first byte of it changes.
 */
import { assert } from '../base/assert.ts';
import type { Sequence } from '../base/brands.ts';
import type { Change } from '../table/store-port.ts';
import { decodeChange } from './change-format.ts';
import { type SharedState, WORD } from './shared-state.ts';

const UNIT = 8;
/** sequence f64 | head length u32 | before length i32 | after length i32 | unused u32 */
const HEAD_BYTES = 24;
const NONE = -1;
const NOT_KEPT = -2;

export class ChangeRing {
  readonly #state: SharedState;
  readonly #view: DataView;
  readonly #units: number;
  #next = 0;

  constructor(state: SharedState) {
    this.#state = state;
    this.#view = new DataView(state.ring.buffer, state.ring.byteOffset, state.ring.byteLength);
    this.#units = state.ring.byteLength / UNIT;
    assert(Number.isInteger(Math.log2(this.#units)), 'the ring is a power of two of bytes');
  }

  /**
   * Only on the store thread, in order of sequence, before the commit is published. `head` is the
   * change as `encodeChange` writes it without a body.
   */
  append(change: Change, head: Uint8Array): void {
    const rows = (change.before?.length ?? 0) + (change.after?.length ?? 0);
    const whole = Math.ceil((HEAD_BYTES + head.length + rows) / UNIT);
    // A change as large as a good part of the ring would push out all others.
    const keepsRows = whole <= this.#units / 4;
    const units = keepsRows ? whole : Math.ceil((HEAD_BYTES + head.length) / UNIT);
    let place = this.#next;
    const at = (place >>> 0) % this.#units;
    if (at + units > this.#units) place = (place + (this.#units - at)) | 0;
    Atomics.store(this.#state.words, WORD.ringReserved, (place + units) | 0);
    this.#write(place, change, head, keepsRows);
    const slot = change.sequence % this.#state.layout.ringSlots;
    Atomics.store(this.#state.ringIndex, slot, place);
    this.#next = (place + units) | 0;
  }

  #write(place: number, change: Change, head: Uint8Array, keepsRows: boolean): void {
    const at = ((place >>> 0) % this.#units) * UNIT;
    const view = this.#view;
    const before = keepsRows ? change.before : undefined;
    const after = keepsRows ? change.after : undefined;
    view.setFloat64(at, change.sequence, true);
    view.setUint32(at + 8, head.length, true);
    view.setInt32(at + 12, before === null ? NONE : (before?.length ?? NOT_KEPT), true);
    view.setInt32(at + 16, after?.length ?? NOT_KEPT, true);
    let to = at + HEAD_BYTES;
    for (const part of [head, before, after]) {
      if (part === undefined || part === null) continue;
      this.#state.ring.set(part, to);
      to += part.length;
    }
  }

  /** The change of that sequence, owned by the caller; `undefined` when the ring has it no more. */
  read(sequence: Sequence): Change | undefined {
    const place = Atomics.load(this.#state.ringIndex, sequence % this.#state.layout.ringSlots);
    if (this.#isOverrun(place)) return undefined;
    const at = ((place >>> 0) % this.#units) * UNIT;
    const view = this.#view;
    if (view.getFloat64(at, true) !== sequence) return undefined;
    const headLength = view.getUint32(at + 8, true);
    const before = view.getInt32(at + 12, true);
    const after = view.getInt32(at + 16, true);
    const rowsAt = at + HEAD_BYTES + headLength;
    const end = rowsAt + Math.max(before, 0) + Math.max(after, 0);
    if (end > this.#state.ring.length) return undefined;
    const head = this.#state.ring.slice(at + HEAD_BYTES, rowsAt);
    const rows = this.#state.ring.slice(rowsAt, end);
    // Only now is it known that what was copied is what was looked for.
    if (this.#isOverrun(place)) return undefined;
    return assemble(decodeChange(sequence, head), new Uint8Array(rows), before, after);
  }

  /** Whether the writer may have touched the place since it was written there. */
  #isOverrun(place: number): boolean {
    const reserved = Atomics.load(this.#state.words, WORD.ringReserved);
    const distance = (reserved - place) | 0;
    return distance <= 0 || distance > this.#units;
  }
}

function assemble(head: Change, rows: Uint8Array, before: number, after: number): Change {
  const cut = Math.max(before, 0);
  return {
    ...head,
    before: before === NONE ? null : before === NOT_KEPT ? undefined : rows.subarray(0, cut),
    after: after === NOT_KEPT ? undefined : rows.subarray(cut),
  };
}
