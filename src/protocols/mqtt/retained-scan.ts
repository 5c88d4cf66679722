/**
 * The retained messages of a new subscription: every record under its filter, in pages of the store
 * and no faster than the client takes them. A record may be newer than the subscription; its change
 * is then not told again.
 */
import type { RecordId, TableName } from '../../base/brands.ts';
import { compileTopicFilter } from '../../base/topic-filter.ts';
import { LIMITS } from '../../config/limits.ts';
import type { ChangeSource } from '../../feed/change-source.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { Message } from './message.ts';
import { retainedMessage } from './read-message.ts';
import type { Subscription } from './subscription-tree.ts';
import { type Located, literalPrefix, type Topics } from './topics.ts';

export interface ScanParts {
  readonly source: ChangeSource;
  readonly topics: Topics;
}

/** `full`: the client has no room; `more`: others have a turn first. */
export type ScanProgress = 'done' | 'full' | 'more';

export class RetainedScan {
  readonly subscription: Subscription;
  readonly #parts: ScanParts;
  readonly #tables: TableDefinition[];
  readonly #matches: (topic: string) => boolean;
  /** The one message or record there is to send; `undefined`: look for records. */
  readonly #only: Message | Located | undefined;
  #after: RecordId | undefined;

  constructor(parts: ScanParts, subscription: Subscription, only?: Message | Located | undefined) {
    this.#parts = parts;
    this.subscription = subscription;
    this.#only = only;
    this.#tables = [...parts.topics.tablesUnder(subscription.filter)];
    this.#matches = compileTopicFilter(subscription.filter);
  }

  /** One page; `offer` answers false when there is no room, and gets the same message again. */
  advance(offer: (message: Message) => boolean): ScanProgress {
    if (this.#only !== undefined) return this.#sendOnly(this.#only, offer);
    const table = this.#tables[0];
    if (table === undefined) return 'done';
    const { source, topics } = this.#parts;
    const topicPrefix = topics.prefixOf(table.name);
    let full = false;
    const page = source.scan(table.name, this.#page(table.name, topicPrefix), (entry) => {
      const topic = topicPrefix + String(entry.id);
      const message = this.#matches(topic)
        ? retainedMessage(entry, topic, table, source)
        : undefined;
      full = message !== undefined && !offer(message);
      if (!full) this.#after = entry.id;
      return !full;
    });
    if (full) return 'full';
    if (page.next === undefined) {
      this.#tables.shift();
      this.#after = undefined;
    }
    return this.#tables.length === 0 ? 'done' : 'more';
  }

  #sendOnly(only: Message | Located, offer: (message: Message) => boolean): ScanProgress {
    const message = only instanceof Message ? only : this.#stored(only);
    return message === undefined || offer(message) ? 'done' : 'full';
  }

  #stored({ table, id }: Located): Message | undefined {
    const { source } = this.#parts;
    return source.withEntry(table.name, id, '', (entry) =>
      retainedMessage(entry, this.subscription.filter, table, source),
    );
  }

  #page(table: TableName, topicPrefix: string) {
    const { filter } = this.subscription;
    // `a/#` has `a` itself too.
    const literal = literalPrefix(filter.endsWith('/#') ? filter.slice(0, -2) : filter);
    const isText = this.#parts.topics.definition(table)?.primaryKeyType === 'string';
    const prefix = isText ? literal.slice(topicPrefix.length) : '';
    return {
      after: this.#after,
      limit: LIMITS.snapshotScanRowsMax,
      ...(prefix === '' ? {} : { prefix }),
    };
  }
}
