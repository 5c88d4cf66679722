/** Records by URL on a real node: written, read, merged, counted, generated, removed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.ts';
import { sendRaw } from '../support/raw-http.ts';
import { ENGINES, expectProblem, JSON_BODY, json, startItems } from '../support/scenario-apps.ts';

describe.each(ENGINES)('records by id over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
  });
  afterAll(() => node.dispose());

  const send = (method: string, target: string, body?: object, headers: object = {}) =>
    node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  it('answers 201 to a PUT that makes a record and 204 to one that replaces it [RFC9110 §9.3.4]', async () => {
    const made = await send('PUT', '/Item/a', { tag: 'x' });
    const replaced = await send('PUT', '/Item/a', { tag: 'y' });
    expect([made.status, replaced.status]).toEqual([201, 204]);
    expect(made.headers.get('etag')).not.toBe(replaced.headers.get('etag'));
    expect(await json(await node.fetch('/Item/a'))).toEqual({ id: 'a', tag: 'y' });
  });

  it('answers a GET with the bytes, their tag, their date, their age and why [RFC9110 §9.3.1]', async () => {
    const put = await send('PUT', '/Item/read', { tag: 'x', note: 'grüße 👋' });
    const response = await node.fetch('/Item/read');
    expect(response.headers.get('etag')).toBe(put.headers.get('etag'));
    expect(Date.parse(response.headers.get('last-modified') ?? '')).toBeGreaterThan(0);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-status')).toMatch(/^millrace; hit/);
    expect(Number(response.headers.get('age'))).toBeLessThan(60);
    expect(await response.json()).toEqual({ id: 'read', tag: 'x', note: 'grüße 👋' });
  });

  it('answers a HEAD with the fields of the GET and no body [RFC9110 §9.3.2]', async () => {
    await send('PUT', '/Item/head', { tag: 'x' });
    const get = await node.fetch('/Item/head');
    const head = await node.fetch('/Item/head', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
    expect(head.headers.get('content-length')).toBe(String((await get.text()).length));
    for (const field of ['etag', 'content-type', 'last-modified', 'cache-control', 'vary']) {
      expect(head.headers.get(field)).toBe(get.headers.get(field));
    }
  });

  it('merges the top level of a JSON patch', async () => {
    await send('PUT', '/Item/merge', { tag: 'x', note: 'kept', n: 1 });
    const patched = await send('PATCH', '/Item/merge', { tag: 'y', n: null });
    expect(patched.status).toBe(204);
    expect(await json(await node.fetch('/Item/merge'))).toMatchObject({ tag: 'y', note: 'kept' });
  });

  it('removes what a merge patch sets to null, at every depth [RFC7396 §2]', async () => {
    await send('PUT', '/Item/deep', { tag: 'x', extra: { a: 1, b: { c: 2, d: 3 } } });
    const type = { 'content-type': 'application/merge-patch+json' };
    const patched = await send(
      'PATCH',
      '/Item/deep',
      { tag: null, extra: { b: { c: null } } },
      type,
    );
    expect(patched.status).toBe(204);
    expect(await json(await node.fetch('/Item/deep'))).toEqual({
      id: 'deep',
      extra: { a: 1, b: { d: 3 } },
    });
  });

  it('loses none of 64 increments that meet', async () => {
    await send('PUT', '/Item/counter', { n: 0 });
    const add = { n: { __op__: 'add', value: 1 } };
    const all = await Promise.all(
      Array.from({ length: 64 }, () => send('PATCH', '/Item/counter', add)),
    );
    expect(new Set(all.map((one) => one.status))).toEqual(new Set([204]));
    expect(await json(await node.fetch('/Item/counter'))).toMatchObject({ n: 64 });
  });

  it('makes a record of a patch of nothing, and says 201', async () => {
    expect((await send('PATCH', '/Item/patched-new', { tag: 'x' })).status).toBe(201);
    expect(await json(await node.fetch('/Item/patched-new'))).toEqual({
      id: 'patched-new',
      tag: 'x',
    });
  });

  it('generates a key for a POST and says where the record is [RFC9110 §15.3.2]', async () => {
    const posted = await send('POST', '/Item/', { tag: 'posted' });
    expect(posted.status).toBe(201);
    const { id } = (await posted.json()) as { id: string };
    expect(posted.headers.get('location')).toBe(`/Item/${id}`);
    expect(await json(await node.fetch(`/Item/${id}`))).toEqual({ id, tag: 'posted' });
  });

  it('takes the key which a POST brings, once', async () => {
    expect((await send('POST', '/Item/', { id: 'own', n: 1 })).status).toBe(201);
    await expectProblem(await send('POST', '/Item/', { id: 'own', n: 2 }), 409, 'RECORD_EXISTS');
    expect(await json(await node.fetch('/Item/own'))).toEqual({ id: 'own', n: 1 });
  });

  it('deletes once: 204, then 404 for the record and for deleting it again', async () => {
    await send('PUT', '/Item/gone', { tag: 'x' });
    expect((await node.fetch('/Item/gone', { method: 'DELETE' })).status).toBe(204);
    await expectProblem(await node.fetch('/Item/gone'), 404, 'NOT_FOUND');
    const again = await node.fetch('/Item/gone', { method: 'DELETE' });
    await expectProblem(again, 404, 'NOT_FOUND');
    expect((await send('PUT', '/Item/gone', { tag: 'back' })).status).toBe(201);
  });

  it.each([
    ['a slash', 'news/sport/final', 'news/sport/final'],
    ['an encoded slash', 'a%2Fb', 'a/b'],
    ['a space and a percent sign', 'a%20b%25', 'a b%'],
    ['accents', 'Z%C3%BCrich', 'Zürich'],
    ['an emoji', '%F0%9F%9B%AB', '🛫'],
    ['a plus, which is no space in a path', 'a+b', 'a+b'],
    ['a colon, a quote and a bracket', 'a:%22%5B', 'a:"['],
  ])('keeps a key with %s', async (_what, encoded, key) => {
    expect((await send('PUT', `/Item/${encoded}`, { note: 'k' })).status).toBe(201);
    expect(await json(await node.fetch(`/Item/${encoded}`))).toEqual({ id: key, note: 'k' });
    const wholly = encodeURIComponent(key);
    expect(await json(await node.fetch(`/Item/${wholly}`))).toEqual({ id: key, note: 'k' });
  });

  it('keeps whole numbers as keys where the type says Int, in one spelling only', async () => {
    expect((await send('PUT', '/Number/700', { name: 'seven' })).status).toBe(201);
    expect(await json(await node.fetch('/Number/700'))).toEqual({ id: 700, name: 'seven' });
    for (const spelling of ['0700', '700.0', '%2B700', 'x', '2147483648', '1e2']) {
      await expectProblem(await node.fetch(`/Number/${spelling}`), 400, 'KEY_INVALID');
    }
  });

  it('refuses a body that names another key than the URL', async () => {
    await expectProblem(await send('PUT', '/Item/a', { id: 'b' }), 400, 'RECORD_INVALID');
    await expectProblem(await send('PATCH', '/Item/a', { id: 'b' }), 400, 'RECORD_INVALID');
  });

  it('says what it takes, and 405 for the rest [RFC9110 §10.2.1, §15.5.6]', async () => {
    const allowed = async (target: string) =>
      (await node.fetch(target, { method: 'OPTIONS' })).headers.get('allow');
    expect(await allowed('/Item')).toBe('GET, HEAD, POST, OPTIONS');
    expect(await allowed('/Item/')).toBe('GET, HEAD, PUT, PATCH, POST, OPTIONS');
    expect(await allowed('/Item/?tag=x')).toBe('GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS');
    expect(await allowed('/Item/a')).toBe('GET, HEAD, PUT, PATCH, DELETE, OPTIONS');
    expect(await allowed('/Item/a/')).toBe('GET, HEAD, OPTIONS');
    const options = await node.fetch('/Item/a', { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([
      204,
      expect.stringContaining('PATCH'),
    ]);
    const collection = await node.fetch('/Item/', { method: 'DELETE' });
    expect(collection.headers.get('allow')).not.toContain('DELETE');
    await expectProblem(collection, 405, 'METHOD_NOT_ALLOWED');
    const record = await send('POST', '/Item/a', {});
    expect(record.headers.get('allow')).not.toContain('POST');
    await expectProblem(record, 405, 'METHOD_NOT_ALLOWED');
    const trace = await sendRaw(node.http, 'TRACE /Item/a HTTP/1.1\r\nHost: a\r\n');
    expect(trace).toMatch(/^HTTP\/1.1 405 /);
    expect(trace).toMatch(/\r\nallow: [^\r]*GET/i);
    expect(trace).toContain('"METHOD_NOT_ALLOWED"');
  });
});
