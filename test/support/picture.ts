/**
 * What a client knows of a table after all that it was told: the rows it would show, the messages
 * it heard and how often it was told that some may be missing. It throws when the version of a
 * record goes back. Values under test are objects with a growing number `n`; messages are
 * `{ "m": <count> }`.
 */
import type { FeedEvent } from './fake-sink.ts';
import { applyMergePatch } from './merge-patch.ts';

export interface PictureRow {
  readonly n: number;
  readonly [name: string]: unknown;
}

type RowId = string | number;

export class Picture {
  readonly rows = new Map<RowId, PictureRow>();
  /** Messages in the order in which they were heard. */
  readonly messages: number[] = [];
  resets = 0;
  /** Where a client would resume from. */
  position: string | undefined;
  readonly #newest = new Map<RowId, number>();

  /** The client begins anew, as it does without a position; what it has seen stays seen. */
  forget(): void {
    this.rows.clear();
    this.messages.length = 0;
    this.position = undefined;
  }

  apply(event: FeedEvent): void {
    const { id, type } = event;
    if (type === 'reset') {
      this.resets += 1;
      this.rows.clear();
      this.position = undefined;
    } else if (type === 'snapshot') {
      for (const [at, value] of (event.values ?? []).entries()) {
        this.put(must(event.ids?.[at]), value as PictureRow);
      }
    } else if (type === 'message') this.heard(event.value);
    else if (type === 'put' || type === 'enter') this.put(must(id), event.value as PictureRow);
    else if (type === 'patch') this.patch(must(id), event.value);
    else if (type === 'delete' || type === 'leave') this.rows.delete(must(id));
    else throw new Error(`an event of type ${type}`);
    if (type !== 'reset' && event.more !== true) this.position = event.position;
  }

  newest(id: RowId): number {
    return this.#newest.get(id) ?? 0;
  }

  put(id: RowId, row: PictureRow): void {
    const newest = this.newest(id);
    if (!(row.n >= newest)) throw new Error(`${id} went back from ${newest} to ${row.n}`);
    this.#newest.set(id, row.n);
    this.rows.set(id, row);
  }

  /** One of a record that is not known is passed over: its leaving follows. */
  patch(id: RowId, change: unknown): void {
    const held = this.rows.get(id);
    if (held !== undefined) this.put(id, applyMergePatch(held, change) as PictureRow);
  }

  heard(value: unknown): void {
    this.messages.push((value as { m: number }).m);
  }
}

function must<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('an event without its id');
  return value;
}
