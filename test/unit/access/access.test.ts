/** Who asks, and what they may do: everything that is not granted is refused. */
import { describe, expect, it } from 'vitest';
import { askingWith } from '../../../src/access/asking.ts';
import { type Authentication, createAuthenticator } from '../../../src/access/authenticate.ts';
import { authorise } from '../../../src/access/authorise.ts';
import { ANONYMOUS } from '../../../src/access/principal.ts';
import { must } from '../../../src/base/assert.ts';
import { VERBS } from '../../../src/schema/definition.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;
const admin = { username: 'ann', password: 'pa:ss wörd' };

const ASKING = { method: 'GET', remoteAddress: '127.0.0.1' };

function table(exported: string) {
  const { schema } = parseSchema(`type T @table ${exported} { id: ID @primaryKey }`, 's.graphql');
  return must(must(schema, 'schema').tables[0], 'table');
}

describe('Basic credentials [RFC7617 §2]', () => {
  const { authenticate } = createAuthenticator({ admin, roles: new Map() });
  const asked = (authorization: string | undefined): Authentication =>
    authenticate({
      ...ASKING,
      header: (name) => (name === 'authorization' ? authorization : undefined),
    });

  it('of the administrator make the administrator; colons and UTF-8 are part of a password', () => {
    const result = asked(basic('ann:pa:ss wörd'));
    expect(result).toMatchObject({ principal: { kind: 'admin', name: 'ann' } });
  });

  it.each([
    ['another password', basic('ann:pa')],
    ['another name', basic('bob:pa:ss wörd')],
    ['no colon', basic('ann')],
    ['no base64', 'Basic ***'],
    ['nothing behind the scheme', 'Basic'],
  ])('with %s are rejected', (_, field) => {
    expect(asked(field)).toMatchObject({ kind: 'rejected', method: 'basic' });
  });

  it('of a scheme that is not known are rejected, not ignored', () => {
    expect(asked('Bearer x').kind).toBe('rejected');
  });

  it('are never right when no administrator is configured', () => {
    const nobody = createAuthenticator({ admin: undefined, roles: new Map() });
    const asking = askingWith({ username: '', password: '', remoteAddress: '127.0.0.1' });
    expect(nobody.authenticate(asking).kind).toBe('rejected');
  });

  it('that are absent make an anonymous client', () => {
    expect(asked(undefined)).toMatchObject({
      kind: 'principal',
      principal: { kind: 'anonymous' },
    });
  });
});

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
