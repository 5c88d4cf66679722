/** `describe_all`: every table by database, with its attributes, export and cache, and its size. */
import { accessTo } from '../access/authorise.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { Operation } from './operation.ts';

export const describeAll: Operation = {
  name: 'describe_all',
  takes: [],
  run(_args, { tables, principal }) {
    const databases: Record<string, Record<string, object>> = {};
    for (const table of tables.all()) {
      const { definition } = table;
      // Who does not read all of a table is not told how many records it has.
      if (accessTo(principal, definition, 'read').kind !== 'whole') continue;
      const database = databases[definition.database] ?? {};
      database[definition.typeName] = { ...description(definition), ...table.size() };
      databases[definition.database] = database;
    }
    return databases;
  },
};

function description(definition: TableDefinition): object {
  return {
    schema: definition.database,
    name: definition.typeName,
    hash_attribute: definition.primaryKey,
    sealed: definition.sealed,
    exported: definition.export && {
      path: `/${definition.export.name}/`,
      public: [...definition.export.public],
      protocols: [...definition.export.protocols],
    },
    sourced_from: definition.sourcedFrom,
    cache: definition.cache,
    attributes: definition.attributes.map(
      ({ name, type, indexed, required, primaryKey, list }) => ({
        attribute: name,
        type: typeof type === 'string' ? type : type.object,
        indexed,
        required,
        list,
        is_primary_key: primaryKey,
      }),
    ),
  };
}
