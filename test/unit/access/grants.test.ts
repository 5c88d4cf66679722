/** What roles grant: permits add up, a part left out does not narrow, the rest is refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorise, permitsOf } from '../../../src/access/authorise.ts';
import { compileGrants } from '../../../src/access/grants.ts';
import type { Principal } from '../../../src/access/principal.ts';
import { must } from '../../../src/base/assert.ts';
import type { RecordId } from '../../../src/base/brands.ts';
import type { RoleDefinition, TableGrant } from '../../../src/config/roles-file.ts';
import { VERBS, type Verb } from '../../../src/schema/definition.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';

const id = (key: string) => key as RecordId;

function table(exported = '@export') {
  const source = `type Story @table ${exported} { id: ID @primaryKey desk: String secret: String }`;
  const { schema } = parseSchema(source, 's.graphql');
  return must(must(schema, 'schema').tables[0], 'table');
}

function user(
  tables: Readonly<Record<string, Readonly<Record<string, TableGrant>>>>,
  names: readonly string[],
  facts: Readonly<Record<string, unknown>> = {},
): Principal {
  const roles = new Map<string, RoleDefinition>();
  for (const [name, granted] of Object.entries(tables)) roles.set(name, { tables: granted });
  return { kind: 'user', name: 'ann', roles: names, grants: compileGrants(roles, names, facts) };
}

describe('a role', () => {
  it('grants the verbs it lists, on the tables it names, and nothing else', () => {
    const ann = user({ editor: { Story: { read: true, update: true, delete: false } } }, [
      'editor',
    ]);
    const allowed = VERBS.filter((verb) => authorise(ann, table(), verb) === 'allowed');
    expect(allowed).toEqual(['read', 'update']);
    expect(authorise(ann, table(), 'delete')).toBe('denied');
  });

  it('that is not declared grants nothing', () => {
    const ann = user({}, ['nonesuch', '__proto__', 'constructor']);
    expect(VERBS.filter((verb) => authorise(ann, table(), verb) === 'allowed')).toEqual([]);
  });

  it('has a word for one table instead of its word for all', () => {
    const roles = { r: { '*': { read: true, update: true }, Story: { read: true } } };
    const ann = user(roles, ['r']);
    expect(authorise(ann, table(), 'read')).toBe('allowed');
    expect(authorise(ann, table(), 'update')).toBe('denied');
  });

  it('adds to what anonymous clients may do', () => {
    const roles = { anonymous: { Story: { read: true } }, r: { Story: { update: true } } };
    const ann = user(roles, ['r']);
    expect(authorise(ann, table(), 'read')).toBe('allowed');
    expect(authorise(ann, table(), 'update')).toBe('allowed');
  });
});

describe('`public`', () => {
  it('is a shorthand of the role anonymous, whose own word comes first', () => {
    const open = table('@export(public: [read, subscribe])');
    const roles = { anonymous: { Story: { read: false, deny: { subscribe: ['secret/#'] } } } };
    const nobody = user(roles, []);
    expect(authorise(nobody, open, 'read')).toBe('denied');
    expect(authorise(nobody, open, 'subscribe', id('open/1'))).toBe('allowed');
    expect(authorise(nobody, open, 'subscribe', id('secret/1'))).toBe('denied');
  });
});

describe('keys', () => {
  const grant = { read: true, keys: ['news/#', 'a/+/c'], deny: { read: ['news/secret/#'] } };
  const ann = user({ r: { Story: grant } }, ['r']);

  it.each([
    ['news/1', 'allowed'],
    ['news', 'allowed'],
    ['news/secret/1', 'denied'],
    ['a/b/c', 'allowed'],
    ['a/b/c/d', 'denied'],
    ['other', 'denied'],
  ])('limit a grant: %s is %s', (key, verdict) => {
    expect(authorise(ann, table(), 'read', id(key))).toBe(verdict);
  });

  it('do not cover the whole table', () => {
    expect(authorise(ann, table(), 'read')).toBe('denied');
  });

  it('of several roles add up', () => {
    const both = user({ a: { Story: { read: true, keys: ['x'] } }, b: { Story: grant } }, [
      'a',
      'b',
    ]);
    expect(authorise(both, table(), 'read', id('x'))).toBe('allowed');
    expect(authorise(both, table(), 'read', id('news/1'))).toBe('allowed');
    expect(authorise(both, table(), 'read', id('y'))).toBe('denied');
  });
});

describe('row conditions', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how roles.yaml names a fact
  const CONDITION = 'desk=${user.desk}';
  const roles = { r: { Story: { read: true, filter: CONDITION } } };

  it('are filled in with what is known of the user', () => {
    const permits = permitsOf(user(roles, ['r'], { desk: 'sport' }), table(), 'read');
    expect(permits?.map(({ filter }) => filter)).toEqual(['desk=sport']);
  });

  it('cover nothing by themselves: a protocol must hold rows against them', () => {
    const ann = user(roles, ['r'], { desk: 'sport' });
    expect(authorise(ann, table(), 'read')).toBe('denied');
    expect(authorise(ann, table(), 'read', id('a'))).toBe('denied');
  });

  it('about what is not known of the user grant nothing', () => {
    expect(authorise(user(roles, ['r'], {}), table(), 'read')).toBe('denied');
    expect(authorise(user(roles, ['r'], { desk: { $ne: 1 } }), table(), 'read')).toBe('denied');
  });

  it('take no condition from a value', () => {
    fc.assert(
      fc.property(fc.string(), (desk) => {
        const permits = permitsOf(user(roles, ['r'], { desk }), table(), 'read');
        const filter = must(permits?.[0]?.filter, 'filter');
        expect(filter.slice('desk='.length)).not.toMatch(/[&|()[\]=,<>!*'"]/);
        expect(decodeURIComponent(filter)).toBe(`desk=${desk}`);
      }),
    );
  });

  it('are no limit beside a grant without them', () => {
    const both = { ...roles, all: { Story: { read: true } } };
    expect(permitsOf(user(both, ['r', 'all'], { desk: 'x' }), table(), 'read')).toBeUndefined();
  });
});

describe('attributes', () => {
  const covered = (grant: TableGrant, verb: Verb) => {
    const [permit] = must(permitsOf(user({ r: { Story: grant } }, ['r']), table(), verb), 'limits');
    return ['id', 'desk', 'secret'].filter((name) => permit?.attributes?.(name) ?? true);
  };

  it('which are only forbidden are taken away from the rest', () => {
    const grant = { read: true, attributes: { secret: { read: false } } };
    expect(covered(grant, 'read')).toEqual(['id', 'desk']);
  });

  it('of which one is allowed are all that is, with the primary key', () => {
    const grant = { read: true, attributes: { desk: { read: true } } };
    expect(covered(grant, 'read')).toEqual(['id', 'desk']);
  });

  it('are read by who subscribes', () => {
    const grant = { subscribe: true, attributes: { secret: { read: false } } };
    expect(covered(grant, 'subscribe')).toEqual(['id', 'desk']);
  });
});
