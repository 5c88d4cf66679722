/**
 * What application code means by `import { tables, databases } from 'millrace'`: names which exist
 * before the node has opened its tables. They are bound once the tables are there; used earlier,
 * they say so instead of being `undefined`.
 */
import type { ApplicationTable } from './application-table.ts';
import { type TableFinder, threadScope } from './thread-scope.ts';

/**
 * The tables by name. An application that wants them checked declares them:
 * `declare module 'millrace' { interface Tables { Flight: ApplicationTable } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by applications.
export interface Tables {}
export type ApplicationTables = Tables & Readonly<Record<string, ApplicationTable>>;

/** Makes `tables` usable on this thread; `undefined` unbinds it. */
export function bindTables(find: TableFinder | undefined): void {
  threadScope().findTable = find;
}

function tableNamed(name: string, database?: string): ApplicationTable {
  const find = threadScope().findTable;
  if (find === undefined) {
    throw new Error(
      `tables.${name} is used before the node has opened its tables: use it inside a function ` +
        'that is called later (get, a resource method), not while the module is being loaded',
    );
  }
  const table = find(name, database);
  if (table !== undefined) return table;
  throw new Error(`there is no table ${name}: tables are named by their type in schema.graphql`);
}

const tablesOf = (database?: string): ApplicationTables =>
  new Proxy<Record<string, ApplicationTable>>(
    {},
    {
      get: (_, name) => (typeof name === 'string' ? tableNamed(name, database) : undefined),
      has: (_, name) =>
        typeof name === 'string' && threadScope().findTable?.(name, database) !== undefined,
      set: () => false,
    },
  ) as ApplicationTables;

/** The application's tables by type name, such as `tables.Flight`. */
export const tables = tablesOf();

/** The same by database: `databases.data.Flight`. */
export const databases: Readonly<Record<string, ApplicationTables>> = new Proxy<
  Record<string, ApplicationTables>
>(
  {},
  {
    get: (_, name) => (typeof name === 'string' ? tablesOf(name) : undefined),
    set: () => false,
  },
);
