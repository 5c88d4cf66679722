/**
 * What roles grant, read naively and apart from the product: the words of `roles.yaml` taken one
 * after the other, row by row. Knows the few forms of filters and keys that the matrix declares.
 */
export type Row = Readonly<Record<string, string | number>>;
export type Verb = 'read' | 'subscribe' | 'insert' | 'update' | 'delete';

export interface Grant extends Partial<Record<Verb, boolean>> {
  readonly keys?: readonly string[];
  readonly deny?: Partial<Record<Verb, readonly string[]>>;
  readonly filter?: string;
  readonly attributes?: Readonly<
    Record<string, Partial<Record<'read' | 'insert' | 'update', boolean>>>
  >;
}
export interface Role {
  readonly operations?: readonly string[];
  readonly tables: Readonly<Record<string, Grant>>;
}
export type RoleFile = Readonly<Record<string, Role>>;

const onTopic = (filter: string, key: string): boolean =>
  filter.endsWith('/#')
    ? key === filter.slice(0, -2) || key.startsWith(filter.slice(0, -1))
    : key === filter;

const meets = (filter: string, row: Row, facts: Readonly<Record<string, string>>): boolean => {
  const filled = filter.replace(/\$\{user\.(\w+)\}/g, (_, name: string) => facts[name] ?? '\u0000');
  const [, attribute = '', operator, value = ''] = /^(\w+)(=le=|=)(.*)$/.exec(filled) ?? [];
  const held = row[attribute];
  return operator === '=le=' ? Number(held) <= Number(value) : String(held) === value;
};

const covers = (grant: Grant, verb: Verb, attribute: string): boolean => {
  const column = verb === 'subscribe' ? 'read' : verb;
  if (column === 'delete' || attribute === 'id') return true;
  const entries = Object.entries(grant.attributes ?? {});
  const allowed = entries.filter(([, words]) => words[column] === true).map(([name]) => name);
  if (allowed.length > 0) return allowed.includes(attribute);
  return !entries.some(([name, words]) => name === attribute && words[column] === false);
};

/** Who asks: what their roles and everybody's grant. */
export class NaiveAsker {
  readonly #grants: (table: string) => readonly Grant[];
  readonly #facts: Readonly<Record<string, string>>;

  constructor(file: RoleFile, names: readonly string[], facts: Readonly<Record<string, string>>) {
    const roles = ['anonymous', ...names].flatMap((name) => file[name] ?? []);
    this.#grants = (table) => roles.flatMap((role) => role.tables[table] ?? role.tables['*'] ?? []);
    this.#facts = facts;
  }

  grants(table: string, verb: Verb): readonly Grant[] {
    return this.#grants(table).filter((grant) => {
      const asked = grant.filter?.match(/\$\{user\.(\w+)\}/)?.[1];
      // What is granted by a fact that is not known of somebody is not granted to them.
      return grant[verb] === true && (asked === undefined || this.#facts[asked] !== undefined);
    });
  }

  /** Whether some record of that key could be covered. */
  key(table: string, verb: Verb, key: string): boolean {
    return this.grants(table, verb).some((grant) => this.#onKey(grant, verb, key));
  }

  row(table: string, verb: Verb, row: Row): boolean {
    return this.#over(table, verb, row).length > 0;
  }

  /** The attributes of a row that are shown. */
  shown(table: string, verb: Verb, row: Row): Row {
    const grants = this.#over(table, verb, row);
    const isShown = (name: string) => grants.some((grant) => covers(grant, verb, name));
    return Object.fromEntries(Object.entries(row).filter(([name]) => isShown(name)));
  }

  names(table: string, verb: Verb, attribute: string): boolean {
    return this.grants(table, verb).some((grant) => covers(grant, verb, attribute));
  }

  /** Whether one grant covers the change wholly. */
  change(table: string, verb: Verb, before: Row | undefined, after: Row, named: readonly string[]) {
    return this.#over(table, verb, after).some(
      (grant) =>
        (before === undefined || this.#over(table, verb, before).includes(grant)) &&
        named.every((name) => covers(grant, verb, name)),
    );
  }

  #over(table: string, verb: Verb, row: Row): readonly Grant[] {
    return this.grants(table, verb).filter(
      (grant) =>
        this.#onKey(grant, verb, String(row.id)) &&
        (grant.filter === undefined || meets(grant.filter, row, this.#facts)),
    );
  }

  #onKey(grant: Grant, verb: Verb, key: string): boolean {
    if (grant.deny?.[verb]?.some((filter) => onTopic(filter, key)) === true) return false;
    return grant.keys === undefined || grant.keys.some((filter) => onTopic(filter, key));
  }
}
