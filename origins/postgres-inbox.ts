/**
 * The notifications of a LISTEN that were not yet dealt with: by id, the last one counts. Bounded:
 * when too many wait, all are forgotten and the whole table is in doubt.
 *
 * A payload is the id of a row, or JSON `{ "id", "op", "value" }` in which `op` is `delete`,
 * `truncate`, or a word for any other change (`TG_OP` of a trigger will do).
 */
import type { RecordId } from 'millrace';
import type { Client } from 'pg';
import type { Row } from './postgres-database.ts';

export interface Notice {
  readonly id: RecordId;
  readonly deleted: boolean;
  /** The row, when the payload carries it. */
  readonly value: Row | undefined;
}

const NOTICES_MAX = 10_000;

export class Inbox {
  readonly #notices = new Map<string, Notice>();
  #inDoubt = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(client: Client, signal: AbortSignal) {
    client.on('notification', ({ payload = '' }) => this.#take(payload));
    client.on('error', (error) => this.#fail(error));
    client.on('end', () => this.#fail(new Error('Connection terminated by the server')));
    const stop = () => this.#fail(signal.reason instanceof Error ? signal.reason : new Error());
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  }

  /** What arrived, oldest first; throws when the connection is gone. */
  drain(): { readonly notices: readonly Notice[]; readonly inDoubt: boolean } {
    if (this.#failure !== undefined) throw this.#failure;
    const drained = { notices: [...this.#notices.values()], inDoubt: this.#inDoubt };
    this.#notices.clear();
    this.#inDoubt = false;
    return drained;
  }

  /** Resolves when something arrived, when the connection is gone, or when the time is up. */
  wait(timer: (wake: () => void) => () => void): Promise<void> {
    if (this.#failure !== undefined || this.#inDoubt || this.#notices.size > 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const stop = timer(() => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        stop();
        resolve();
      };
    });
  }

  #take(payload: string): void {
    const notice = noticeOf(payload);
    if (notice === undefined || this.#notices.size >= NOTICES_MAX) {
      this.#notices.clear();
      this.#inDoubt = true;
    } else {
      const id = String(notice.id);
      this.#notices.delete(id);
      this.#notices.set(id, notice);
    }
    this.#wake?.();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}

/** `undefined` for a payload that names no row. */
export function noticeOf(payload: string): Notice | undefined {
  if (!payload.startsWith('{')) {
    return payload === '' ? undefined : { id: payload, deleted: false, value: undefined };
  }
  let content: Row;
  try {
    content = JSON.parse(payload) as Row;
  } catch {
    return undefined;
  }
  const { id, op, value } = content;
  if ((typeof id !== 'string' && typeof id !== 'number') || id === '') return undefined;
  return {
    id,
    deleted: String(op).toLowerCase() === 'delete',
    value: typeof value === 'object' && value !== null ? (value as Row) : undefined,
  };
}
