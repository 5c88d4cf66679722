/**
 * Which attributes of a table a grant covers. A list in which something is allowed names all that
 * is; a list which only forbids takes away from the rest. The primary key is always covered, and
 * an attribute never has more than its table's grant. A computed attribute that is not named in the
 * list is covered when it can be made of nothing but what is.
 */
import type { AttributeGrant } from '../config/roles-file.ts';
import type { TableDefinition, Verb } from '../schema/definition.ts';
import type { AttributeMask } from '../table/query/row-view.ts';

/** Where the attribute grants of a verb stand: what is read includes what is subscribed to. */
const COLUMN: Readonly<Record<Verb, keyof AttributeGrant | undefined>> = {
  read: 'read',
  subscribe: 'read',
  insert: 'insert',
  update: 'update',
  delete: undefined,
  publish: undefined,
  purge: undefined,
};

/** `undefined` when every attribute is covered. */
export function maskOf(
  listed: Readonly<Record<string, AttributeGrant>> | undefined,
  verb: Verb,
  definition: TableDefinition,
): AttributeMask | undefined {
  const column = COLUMN[verb];
  if (listed === undefined || column === undefined) return undefined;
  const names = Object.keys(listed);
  const allowed = new Set(names.filter((name) => listed[name]?.[column] === true));
  const forbidden = new Set(names.filter((name) => listed[name]?.[column] === false));
  if (allowed.size === 0 && forbidden.size === 0) return undefined;
  const { primaryKey } = definition;
  if (allowed.size > 0) return (name) => name === primaryKey || allowed.has(name);
  for (const name of tellingOf(forbidden, definition)) forbidden.add(name);
  return (name) => name === primaryKey || !forbidden.has(name);
}

/** Computed attributes that would tell of forbidden ones; what code computes may read anything. */
function tellingOf(
  forbidden: ReadonlySet<string>,
  { attributes }: TableDefinition,
): readonly string[] {
  return attributes.flatMap(({ name, computed }) => {
    if (computed === undefined) return [];
    const words = computed.from?.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu);
    const isApart = words?.every((word) => !forbidden.has(word)) ?? false;
    return isApart ? [] : [name];
  });
}
