/** A table with an attribute of every kind, with and without indexes, for tests of queries. */
import type { TableDefinition } from '../../src/schema/definition.ts';
import { parseSchema } from '../../src/schema/parse-schema.ts';

const fields = (index: string) => `
  id: ID @primaryKey
  name: String ${index}
  tag: String ${index}
  count: Int ${index}
  price: Float ${index}
  big: BigInt ${index}
  open: Boolean ${index}
  at: Date ${index}
  tags: [String] ${index}
  scores: [Int] ${index}
  any: Any ${index}
  place: Place
  note: String
`;

const schemaOf = (index: string) => `
type Place { city: String, zip: Int }
type Item @table @export { ${fields(index)} }
`;

function parsed(text: string): TableDefinition {
  const { schema, problems } = parseSchema(text, 'schema.graphql');
  const table = schema?.tables[0];
  if (table === undefined) throw new Error(JSON.stringify(problems));
  return table;
}

export const indexedTable: TableDefinition = parsed(schemaOf('@indexed'));
export const plainTable: TableDefinition = parsed(schemaOf(''));

export const ROWS = { rowsDefault: 1_000, rowsMax: 10_000 };
