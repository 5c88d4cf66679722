/** Tables as TypeScript; that the text compiles is proved by the fixture, which is one of them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { tableTypes } from '../../../src/resource/table-types.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';

const schemaOf = (text: string) => must(parseSchema(text, 'schema.graphql').schema, 'a schema');
const fixture = (file: string): string =>
  readFileSync(
    fileURLToPath(new URL(`../../fixtures/resource-app/${file}`, import.meta.url)),
    'utf8',
  );

describe('the types of tables', () => {
  it('are those which the fixture is compiled with', () => {
    expect(tableTypes(schemaOf(fixture('schema.graphql')))).toBe(fixture('millrace-env.d.ts'));
  });

  it('say what is required, nested, listed, documented', () => {
    const text = tableTypes(
      schemaOf(`
        "Where people land."
        type Airport @table @sealed { code: ID @primaryKey, name: String!, runways: [Runway] }
        type Runway { "Degrees." heading: Int, at: [Date] }
      `),
    );
    expect(text).toContain(
      '/** Where people land. */\nexport interface Airport {\n  code: string;',
    );
    expect(text).toContain('  name: string;\n  runways?: Runway[] | null;\n}');
    expect(text).toContain('  /** Degrees. */\n  heading?: number | null;');
    expect(text).toContain('  at?: (number | string)[] | null;\n  [undeclared: string]: unknown;');
    expect(text).toContain('    readonly Airport: ApplicationTable<Airport>;');
  });
});
