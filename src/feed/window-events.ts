/**
 * The events of one query with `sort()` and `limit()`: a snapshot in chunks, and the steps from a
 * list to a later one, each encoded once for all who are led the same way.
 */
import type { EpochMs, Position } from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import { type EncodedEvent, encodeEvent, encodeSnapshot, idJson } from './event.ts';
import { mergePatchOf } from './merge-patch.ts';
import type { WindowRow } from './window-rows.ts';
import { type WindowList, type WindowStep, windowSteps } from './window-steps.ts';

export interface WindowEventsParts {
  /** Name of the table's type. */
  readonly table: string;
  readonly chunkBytesMax: number;
  /** Up to where the log was read. */
  readonly position: () => Position;
  readonly now: () => EpochMs;
}

export class ToldStep {
  readonly step: WindowStep;
  readonly #parts: WindowEventsParts;
  readonly #position: Position;
  #plain: EncodedEvent | undefined;
  #patch: EncodedEvent | undefined;

  constructor(step: WindowStep, parts: WindowEventsParts, position: Position) {
    this.step = step;
    this.#parts = parts;
    this.#position = position;
  }

  /** `isDelta`: as a patch of what was shown, where that is shorter. */
  event(isDelta: boolean): EncodedEvent {
    if (isDelta && this.step.kind === 'put') {
      this.#patch ??= this.#encodePatch();
      return this.#patch;
    }
    this.#plain ??= this.#encode(this.step.kind, undefined);
    return this.#plain;
  }

  #encodePatch(): EncodedEvent {
    const { step } = this;
    const before = step.kind === 'put' ? step.before?.value : undefined;
    const patch = before === undefined ? undefined : mergePatchOf(before, step.row.value);
    return patch === undefined ? this.event(false) : this.#encode('patch', patch);
  }

  #encode(type: 'enter' | 'put' | 'patch' | 'leave', patch: string | undefined): EncodedEvent {
    const { step } = this;
    const { id, version, value } = step.row;
    const shown = step.kind === 'leave' ? {} : { value: patch ?? value, index: step.index };
    const at = step.kind === 'leave' ? this.#parts.now() : versionTime(version);
    const common = { table: this.#parts.table, id, position: this.#position, at };
    return encodeEvent({ ...common, type, ...shown });
  }
}

export class WindowEvents {
  readonly #parts: WindowEventsParts;
  readonly #snapshots = new WeakMap<WindowList, readonly EncodedEvent[]>();
  readonly #steps = new WeakMap<WindowList, WeakMap<WindowList, readonly ToldStep[]>>();

  constructor(parts: WindowEventsParts) {
    this.#parts = parts;
  }

  /** At least one event, the last of which says that no more follow. */
  snapshot(list: WindowList): readonly EncodedEvent[] {
    let events = this.#snapshots.get(list);
    if (events === undefined) {
      events = this.#encodeSnapshot(list);
      this.#snapshots.set(list, events);
    }
    return events;
  }

  steps(from: WindowList, to: WindowList): readonly ToldStep[] {
    const known = this.#steps.get(from) ?? new WeakMap<WindowList, readonly ToldStep[]>();
    this.#steps.set(from, known);
    let steps = known.get(to);
    if (steps === undefined) {
      const position = this.#parts.position();
      steps = windowSteps(from, to).map((step) => new ToldStep(step, this.#parts, position));
      known.set(to, steps);
    }
    return steps;
  }

  #encodeSnapshot(list: WindowList): EncodedEvent[] {
    const chunks = inChunks(list, this.#parts.chunkBytesMax);
    const common = {
      ...{ table: this.#parts.table, position: this.#parts.position() },
      at: this.#parts.now(),
    };
    return chunks.map((rows, at) =>
      encodeSnapshot({
        ...common,
        ids: rows.map(({ id }) => idJson(id)),
        values: rows.map(({ value }) => value),
        more: at < chunks.length - 1,
      }),
    );
  }
}

function inChunks(list: WindowList, bytesMax: number): WindowRow[][] {
  let chunk: WindowRow[] = [];
  const chunks = [chunk];
  let bytes = 0;
  for (const row of list) {
    if (bytes >= bytesMax) {
      chunk = [];
      chunks.push(chunk);
      bytes = 0;
    }
    chunk.push(row);
    bytes += row.value.length;
  }
  return chunks;
}
