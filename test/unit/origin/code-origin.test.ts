/** Origins in code: what `get` may return, say and be told. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { Entry } from '../../../src/cache/entry.ts';
import {
  defineOrigin,
  type GetContext,
  notModified,
  type OriginDefinition,
} from '../../../src/index.ts';
import { openCodeOrigin } from '../../../src/origin/open-origin.ts';
import { ask, binding, failureOf, recordOf } from '../../support/origins.ts';

const open = (definition: OriginDefinition) =>
  openCodeOrigin(
    defineOrigin({ limits: { retries: 0, bodyMax: 1_000, timeoutMs: 2_000 }, ...definition }),
    'code',
    { clock: systemClock, random: Math.random },
  ).table(binding);

const never = new AbortController().signal;
const bytes = (text: string) => new TextEncoder().encode(text);

describe('an origin in code', () => {
  it('says when the record changed, how long it is fresh, and what groups it is in', async () => {
    const table = open({
      get(id, context) {
        context.lastModified = new Date(1_000_000);
        context.freshUntil = 5_000_000;
        context.entityTag = 'v1';
        context.groups = ['a', 'b', 'a'];
        return { id };
      },
    });
    const { facts } = await table.fetch(ask('x'));
    expect(facts).toMatchObject({
      lastModified: 1_000_000,
      freshUntil: 5_000_000,
      entityTag: '"v1"',
      groups: ['a', 'b'],
    });
  });

  it('forbids storing with noStore', async () => {
    const table = open({
      get(id, context) {
        context.noStore = true;
        return { id };
      },
    });
    expect((await table.fetch(ask('x'))).facts.directives.noStore).toBe(true);
  });

  it('may answer with a fetch Response, whose header fields count', async () => {
    const headers = { 'cache-control': 'max-age=7', etag: '"t"' };
    const table = open({ get: () => Response.json({ n: 1 }, { headers }) });
    const reply = await table.fetch(ask('x'));
    expect(recordOf(reply)).toEqual({ n: 1, id: 'x' });
    expect(reply.facts).toMatchObject({ directives: { maxAge: 7 }, entityTag: '"t"' });
  });

  it('reads no more of a Response than bodyMax', async () => {
    const table = open({ get: () => new Response(new Uint8Array(2_000)) });
    expect((await failureOf(table.fetch(ask('x')))).code).toBe('ORIGIN_BODY_TOO_LARGE');
  });

  it('sees the record that it replaces, and may confirm it', async () => {
    let seen: GetContext['replacing'];
    const table = open({
      get(_, context) {
        seen = context.replacing;
        return notModified();
      },
    });
    const meta = { originTag: '"v1"', lastModified: 123_000 };
    const body = bytes('{"id":"x","n":1}');
    const entry = { kind: 'record', id: 'x', contentType: 'application/json', body, meta };
    const replacing = { ...entry, retain: () => entry } as unknown as Entry;
    expect((await table.fetch(ask('x', { replacing }))).kind).toBe('notModified');
    expect(seen).toMatchObject({ id: 'x', entityTag: '"v1"', lastModified: 123_000 });
    expect(seen?.record).toEqual({ id: 'x', n: 1 });
  });

  it('may not confirm what nobody holds', async () => {
    const table = open({ get: () => notModified() });
    expect((await failureOf(table.fetch(ask('x')))).code).toBe('ORIGIN_BODY_INVALID');
  });

  it('may throw a status, as HTTP libraries do: 404 means absent', async () => {
    const throwing = (statusCode: number) =>
      open({ get: () => Promise.reject(Object.assign(new Error('no'), { statusCode })) });
    expect((await throwing(404).fetch(ask('x'))).kind).toBe('absent');
    const error = await failureOf(throwing(503).fetch(ask('x')));
    expect([error.code, error.details.status]).toEqual(['ORIGIN_STATUS', 503]);
  });

  for (const [title, value] of [
    ['an array', []],
    ['a string', 'text'],
    ['a number', 7],
    ['a cycle', cyclic()],
  ] as const) {
    it(`may not answer with ${title}`, async () => {
      const table = open({ get: () => value as never });
      expect((await failureOf(table.fetch(ask('x')))).code).toBe('ORIGIN_BODY_INVALID');
    });
  }

  it('takes the writes it declares, and only those', async () => {
    const held = new Map<unknown, unknown>();
    const table = open({
      get: () => undefined,
      async put(id, record, context) {
        held.set(`${context.table} ${id}`, record);
        return { ...record, revision: 2 };
      },
    });
    expect(table.writes).toEqual({ put: true, patch: false, delete: false });
    const { body } = await table.put('x', bytes('{"id":"x"}'), never);
    expect(held.get('Flight x')).toEqual({ id: 'x' });
    expect(JSON.parse(new TextDecoder().decode(body))).toEqual({ id: 'x', revision: 2 });
  });

  it('fails a write with the status that it throws', async () => {
    const refusal = Object.assign(new Error('conflict'), { statusCode: 409 });
    const table = open({ get: () => undefined, put: () => Promise.reject(refusal) });
    const error = await failureOf(table.put('x', bytes('{}'), never));
    expect([error.code, error.details.status]).toEqual(['ORIGIN_STATUS', 409]);
  });

  it('must have a get', () => {
    expect(() => defineOrigin({} as never)).toThrow('needs a function get');
  });
});

function cyclic(): object {
  const record: Record<string, unknown> = { id: 'x' };
  record.self = record;
  return record;
}
