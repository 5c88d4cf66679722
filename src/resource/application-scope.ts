/**
 * What application code means by `import { Resource, tables } from 'millrace'`: names which exist
 * before the node has opened its tables. They are bound once the tables are there; used earlier,
 * they say so instead of being `undefined`.
 *
 * The binding lives on the thread's global object under a registered symbol, since an application's
 * compiled code may import another copy of this module than the node that binds it.
 */
import type { ApplicationTable } from './application-table.ts';

/** Finds a table by its type name; `undefined` when there is none of that name. */
export type TableFinder = (name: string) => ApplicationTable | undefined;
export type ApplicationTables = Readonly<Record<string, ApplicationTable>>;

const SCOPE = Symbol.for('millrace.applicationScope');
const holder = globalThis as { [SCOPE]?: TableFinder | undefined };

/** Makes `tables` usable on this thread; `undefined` unbinds it. */
export function bindTables(find: TableFinder | undefined): void {
  holder[SCOPE] = find;
}

function tableNamed(name: string): ApplicationTable {
  const find = holder[SCOPE];
  if (find === undefined) {
    throw new Error(
      `tables.${name} is used before the node has opened its tables: use it inside a function ` +
        'that is called later (get, a resource method), not while the module is being loaded',
    );
  }
  const table = find(name);
  if (table !== undefined) return table;
  throw new Error(`there is no table ${name}: tables are named by their type in schema.graphql`);
}

/** The application's tables by type name, such as `tables.Flight`. */
export const tables: ApplicationTables = new Proxy<Record<string, ApplicationTable>>(
  {},
  {
    get: (_, name) => (typeof name === 'string' ? tableNamed(name) : undefined),
    has: (_, name) => typeof name === 'string' && holder[SCOPE]?.(name) !== undefined,
    set: () => false,
  },
);

const RESOURCE = Symbol.for('millrace.resource');

/** Base class of custom endpoints: an exported `class Hello extends Resource` serves `/Hello`. */
// biome-ignore lint/complexity/noStaticOnlyClass: a base class for applications, told by its mark.
export class Resource {
  static readonly [RESOURCE] = true;
}

export const isResourceClass = (value: unknown): value is typeof Resource =>
  typeof value === 'function' && RESOURCE in value;
