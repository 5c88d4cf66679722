/**
 * Topics and the records they stand for: `Flight/AA100` is the record `AA100` of the table exported
 * as `Flight`; a table exported as `*` has every other topic, its key being the whole of it. Names
 * are compared as they are, byte for byte [MQTT5 §4.7.3]; nothing is percent-encoded.
 */
import type { RecordId, TableName } from '../../base/brands.ts';

import type { TableDefinition } from '../../schema/definition.ts';
import { checkRecordId, isKeyProblem } from '../../schema/key.ts';

/** A record, as its topic names it. */
export interface Located {
  readonly table: TableDefinition;
  readonly id: RecordId;
}

export class Topics {
  readonly #byName = new Map<string, TableDefinition>();
  readonly #reached = new Map<TableName, { definition: TableDefinition; prefix: string }>();
  readonly #others: TableDefinition | undefined;

  constructor(tables: Iterable<TableDefinition>) {
    let others: TableDefinition | undefined;
    for (const table of tables) {
      if (table.export?.protocols.has('mqtt') !== true) continue;
      const { name } = table.export;
      if (name === '*') others = table;
      else this.#byName.set(name, table);
      const prefix = name === '*' ? '' : `${name}/`;
      this.#reached.set(table.name, { definition: table, prefix });
    }
    this.#others = others;
  }

  /** The record of a topic name; `undefined` when no table has it or its key is none. */
  locate(topic: string): Located | undefined {
    // The longest name that the topic begins with: names may hold slashes themselves.
    for (let end = topic.length; end > 0; end = topic.lastIndexOf('/', end - 1)) {
      const table = this.#byName.get(topic.slice(0, end));
      if (table !== undefined) return located(table, topic.slice(end + 1));
    }
    return this.#others && located(this.#others, topic);
  }

  /** The topic of a record; `undefined` for a table that is not reached over MQTT. */
  topicOf(table: TableName, id: RecordId): string | undefined {
    const reached = this.#reached.get(table);
    return reached && reached.prefix + String(id);
  }

  definition(table: TableName): TableDefinition | undefined {
    return this.#reached.get(table)?.definition;
  }

  /** What the topics of a table begin with: its name and '/', or nothing for `*`. */
  prefixOf(table: TableName): string {
    return this.#reached.get(table)?.prefix ?? '';
  }

  /** The tables of which a filter may match a record. */
  *tablesUnder(filter: string): Generator<TableDefinition> {
    for (const [name, table] of this.#byName) if (mayHold(filter, name)) yield table;
    if (this.#others !== undefined) yield this.#others;
  }
}

function located(table: TableDefinition, key: string): Located | undefined {
  const id = checkRecordId(table, key);
  return isKeyProblem(id) ? undefined : { table, id };
}

/** Whether a filter can match a topic that begins with the levels of `name`. */
function mayHold(filter: string, name: string): boolean {
  const levels = name.split('/');
  const wanted = filter.split('/');
  for (const [at, level] of levels.entries()) {
    const want = wanted[at];
    if (want === '#') return true;
    if (want === undefined || (want !== '+' && want !== level)) return false;
  }
  return wanted.length > levels.length;
}

/** What of a filter stands before its first wildcard, whole levels only: all its topics have it. */
export function literalPrefix(filter: string): string {
  const at = filter.search(/[+#]/);
  return at < 0 ? filter : filter.slice(0, at);
}

/** A subscription to a share of what a filter matches [MQTT5 §4.8.2]. */
export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

const SHARE = '$share/';

/** `undefined`: not shared. An empty or wild group name leaves an empty filter, which is none. */
export function sharedFilter(written: string): SharedFilter | undefined {
  if (!written.startsWith(SHARE)) return undefined;
  const rest = written.slice(SHARE.length);
  const at = rest.indexOf('/');
  const group = at < 0 ? rest : rest.slice(0, at);
  if (at < 1 || /[+#]/.test(group)) return { group, filter: '' };
  return { group, filter: rest.slice(at + 1) };
}
