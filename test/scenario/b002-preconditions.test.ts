/** Conditional requests on a real node: reads that need no body, writes that must not be lost. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { ENGINES, expectProblem, json, startItems } from '../support/scenario-apps.ts';

const WRITERS = 50;

describe.each(ENGINES)('conditional requests over %s', (engine) => {
  let node: NodeProcess;
  let tag: string;
  let modified: string;
  beforeAll(async () => {
    node = await startItems(engine);
    await node.put('/Item/a', { note: 'first' });
    const { headers } = await node.fetch('/Item/a');
    tag = must(headers.get('etag') ?? undefined, 'an entity tag');
    modified = must(headers.get('last-modified') ?? undefined, 'a date');
  });
  afterAll(() => node.dispose());

  const get = (headers: Record<string, string>) => node.fetch('/Item/a', { headers });

  it('answers 304 to a tag it knows, in a list, weak, or `*` [RFC9110 §13.1.2]', async () => {
    for (const field of [tag, `"other", ${tag}`, `W/${tag}`, `W/"x",W/${tag}`, '*']) {
      const response = await get({ 'if-none-match': field });
      expect([field, response.status]).toEqual([field, 304]);
      expect(await response.text()).toBe('');
    }
    for (const field of ['"other"', 'W/"other", "another"', 'garbage']) {
      expect([field, (await get({ 'if-none-match': field })).status]).toEqual([field, 200]);
    }
  });

  it('says in a 304 what a 200 would have said of the response [RFC9110 §15.4.5]', async () => {
    const full = await get({});
    const response = await get({ 'if-none-match': tag });
    for (const field of ['etag', 'cache-control', 'vary', 'last-modified']) {
      expect([field, response.headers.get(field)]).toEqual([field, full.headers.get(field)]);
      expect(full.headers.get(field)).not.toBeNull();
    }
  });

  it('answers 304 to a date at or after its own, and a HEAD likewise [RFC9110 §13.1.3]', async () => {
    expect((await get({ 'if-modified-since': modified })).status).toBe(304);
    const before = new Date(Date.parse(modified) - 60_000).toUTCString();
    expect((await get({ 'if-modified-since': before })).status).toBe(200);
    expect((await get({ 'if-modified-since': 'yesterday' })).status).toBe(200);
    const head = await node.fetch('/Item/a', {
      method: 'HEAD',
      headers: { 'if-modified-since': modified },
    });
    expect(head.status).toBe(304);
  });

  it('forgets the date when a tag was given too [RFC9110 §13.2.2]', async () => {
    const headers = { 'if-none-match': '"other"', 'if-modified-since': modified };
    expect((await get(headers)).status).toBe(200);
  });

  it('refuses a write whose If-Match is not the present tag, and names that [RFC9110 §13.1.1]', async () => {
    const refused = await node.put('/Item/a', { note: 'no' }, { 'if-match': '"other"' });
    expect(refused.headers.get('etag')).toBe(tag);
    await expectProblem(refused, 412, 'PRECONDITION_FAILED');
    // Strong comparison: a weak tag never matches.
    const weak = await node.put('/Item/a', { note: 'no' }, { 'if-match': `W/${tag}` });
    expect(weak.status).toBe(412);
    const absent = await node.put('/Item/nothing', {}, { 'if-match': '*' });
    expect(absent.status).toBe(412);
    const remove = { method: 'DELETE', headers: { 'if-match': '"other"' } };
    expect((await node.fetch('/Item/a', remove)).status).toBe(412);
    expect(await json(await node.fetch('/Item/a'))).toEqual({ id: 'a', note: 'first' });
  });

  it('refuses to make what is there already under If-None-Match: * [RFC9110 §13.1.2]', async () => {
    const only = { 'if-none-match': '*' };
    expect((await node.put('/Item/once', { note: '1' }, only)).status).toBe(201);
    await expectProblem(await node.put('/Item/once', {}, only), 412, 'PRECONDITION_FAILED');
    expect(await json(await node.fetch('/Item/once'))).toMatchObject({ note: '1' });
  });

  it('refuses a write to what was modified since [RFC9110 §13.1.4]', async () => {
    await node.put('/Item/dated', { note: '1' });
    const early = new Date(Date.now() - 60_000).toUTCString();
    const late = new Date(Date.now() + 60_000).toUTCString();
    const refused = await node.put('/Item/dated', {}, { 'if-unmodified-since': early });
    expect(refused.status).toBe(412);
    const taken = await node.put('/Item/dated', {}, { 'if-unmodified-since': late });
    expect(taken.status).toBe(204);
  });

  it('lets exactly one of fifty writers win that saw the same version', async () => {
    await node.put('/Item/raced', { n: -1 });
    const seen = must((await node.fetch('/Item/raced')).headers.get('etag') ?? undefined, 'a tag');
    const statuses = await Promise.all(
      Array.from({ length: WRITERS }, async (_, n) => {
        const { status } = await node.put('/Item/raced', { n }, { 'if-match': seen });
        return { n, status };
      }),
    );
    const winners = statuses.filter(({ status }) => status === 204);
    expect(winners).toHaveLength(1);
    expect(statuses.filter(({ status }) => status === 412)).toHaveLength(WRITERS - 1);
    expect(await json(await node.fetch('/Item/raced'))).toMatchObject({ n: winners[0]?.n });
  });
});
