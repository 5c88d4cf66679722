/**
 * Who wants to hear of a change: table → record id → subscribers, and table → filter →
 * subscribers of the collection. Each distinct filter stands once, so that it is evaluated at most
 * once per change (`predicate-index.ts` says which can be left out). Sets, because a sink may close
 * its subscription while a change is handed round.
 */

import { must } from '../base/assert.ts';
import type { RecordId, TableName } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { RowFilter } from '../table/query/row-filter.ts';
import type { RowView } from '../table/query/row-view.ts';
import { Members } from './crowd.ts';
import { PredicateIndex } from './predicate-index.ts';
import { isEvictable } from './record-state.ts';
import type { Subscriber } from './subscriber.ts';

export interface FilterGroup {
  readonly filter: RowFilter | undefined;
  /** The same for all members; present where they see a part of the table. */
  readonly view: RowView | undefined;
  readonly members: Members;
}

export interface TableTopics {
  readonly typeName: string;
  readonly definition: TableDefinition;
  /** Rows of the table may go without a change in the log. */
  readonly evictable: boolean;
  readonly records: Map<RecordId, Members>;
  /** By the filter's key; '' for the whole collection. */
  readonly groups: Map<string, FilterGroup>;
  /** The same, by what a row must have. */
  readonly predicates: PredicateIndex<FilterGroup>;
}

export class TopicIndex {
  readonly #tables = new Map<TableName, TableTopics>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  table(name: TableName): TableTopics | undefined {
    return this.#tables.get(name);
  }

  *all(): Iterable<Subscriber> {
    for (const topics of this.#tables.values()) {
      for (const members of topics.records.values()) yield* members;
      for (const group of topics.groups.values()) yield* group.members;
    }
  }

  add(subscriber: Subscriber): void {
    let topics = this.#tables.get(subscriber.table);
    if (topics === undefined) {
      const { table: definition } = subscriber.request;
      const evictable = isEvictable(definition);
      const { typeName } = subscriber;
      const predicates = new PredicateIndex<FilterGroup>();
      const [records, groups] = [new Map(), new Map()];
      topics = { typeName, definition, evictable, records, groups, predicates };
      this.#tables.set(subscriber.table, topics);
    }
    membersOf(topics, subscriber).add(subscriber);
    this.#size += 1;
  }

  remove(subscriber: Subscriber): void {
    const topics = must(this.#tables.get(subscriber.table), 'topics of a subscriber');
    const members = membersOf(topics, subscriber);
    if (!members.delete(subscriber)) return;
    this.#size -= 1;
    if (members.size > 0) return;
    if (subscriber.id !== undefined) topics.records.delete(subscriber.id);
    else forgetGroup(topics, groupKey(subscriber));
    if (topics.records.size + topics.groups.size === 0) this.#tables.delete(subscriber.table);
  }
}

const groupKey = (subscriber: Subscriber): string => subscriber.filter?.key ?? '';

function membersOf(topics: TableTopics, subscriber: Subscriber): Members {
  if (subscriber.id !== undefined) {
    let members = topics.records.get(subscriber.id);
    if (members === undefined) {
      members = new Members();
      topics.records.set(subscriber.id, members);
    }
    return members;
  }
  const key = groupKey(subscriber);
  let group = topics.groups.get(key);
  if (group === undefined) {
    group = { filter: subscriber.filter, view: subscriber.view, members: new Members() };
    topics.groups.set(key, group);
    topics.predicates.add(group);
  }
  return group.members;
}

function forgetGroup({ groups, predicates }: TableTopics, key: string): void {
  const group = groups.get(key);
  if (group !== undefined) predicates.remove(group);
  groups.delete(key);
}
