/** What may be done: everything that is not granted is refused. */
import { describe, expect, it } from 'vitest';
import { authorise } from '../../../src/access/authorise.ts';
import { ANONYMOUS } from '../../../src/access/principal.ts';
import { must } from '../../../src/base/assert.ts';
import { VERBS } from '../../../src/schema/definition.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';

function table(exported: string) {
  const { schema } = parseSchema(`type T @table ${exported} { id: ID @primaryKey }`, 's.graphql');
  return must(must(schema, 'schema').tables[0], 'table');
}

describe('a verdict', () => {
  it('allows an anonymous client what `public` lists, and nothing else', () => {
    const open = table('@export(public: [read, insert])');
    const allowed = VERBS.filter((verb) => authorise(ANONYMOUS, open, verb) === 'allowed');
    expect(allowed).toEqual(['read', 'insert']);
  });

  it('allows an anonymous client nothing by default', () => {
    const closed = table('@export');
    expect(VERBS.map((verb) => authorise(ANONYMOUS, closed, verb))).not.toContain('allowed');
  });

  it('allows the administrator everything', () => {
    const principal = { kind: 'admin', name: 'ann' } as const;
    const verdicts = new Set(VERBS.map((verb) => authorise(principal, table('@export'), verb)));
    expect([...verdicts]).toEqual(['allowed']);
  });
});
