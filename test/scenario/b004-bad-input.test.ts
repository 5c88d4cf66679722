/** What clients send wrong: each refusal is a problem document, and the node lives on. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.ts';
import { rawStatus, sendBytes, sendRaw } from '../support/raw-http.ts';
import { ENGINES, expectProblem, JSON_BODY, json, startItems } from '../support/scenario-apps.ts';

const yaml = 'limits: { requestBodyBytesMax: 65536 }\n';

describe.each(ENGINES)('bad input over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine, { yaml });
    await node.put('/Item/good', { note: 'good' });
  });
  afterAll(async () => {
    // Whatever was sent before: the node still answers, and it is the same process.
    expect(await json(await node.fetch('/Item/good'))).toEqual({ id: 'good', note: 'good' });
    expect(node.stderr()).not.toContain('broke one of our own assumptions');
    expect(await node.stop()).toBe(0);
    await node.dispose();
  });

  const put = (target: string, body: string | Buffer, headers: object = JSON_BODY) =>
    node.fetch(target, { method: 'PUT', body, headers: { ...headers } } as RequestInit);

  it.each([
    ['no JSON', '{"a":', 'BODY_MALFORMED'],
    ['nothing', '', 'BODY_MALFORMED'],
    ['an array', '[1]', 'BODY_MALFORMED'],
    ['text', '"x"', 'BODY_MALFORMED'],
    ['null', 'null', 'BODY_MALFORMED'],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'BODY_MALFORMED'],
    ['nesting without end', `${'['.repeat(30_000)}`, 'BODY_MALFORMED'],
    ['nesting beyond the limit', `{"x":${'['.repeat(70)}${']'.repeat(70)}}`, 'BODY_MALFORMED'],
    ['a number where text belongs', '{"note":7}', 'RECORD_INVALID'],
    ['a fraction where a whole number belongs', '{"n":1.5}', 'RECORD_INVALID'],
    ['text where a number belongs', '{"price":"1"}', 'RECORD_INVALID'],
    ['one value where a list belongs', '{"tags":"x"}', 'RECORD_INVALID'],
    ['a list with a wrong element', '{"tags":["x",1]}', 'RECORD_INVALID'],
    ['a date that is none', '{"at":"someday"}', 'RECORD_INVALID'],
    ['no boolean', '{"open":"yes"}', 'RECORD_INVALID'],
  ])('refuses a record of %s', async (_what, body, code) => {
    await expectProblem(await put('/Item/bad', body), 400, code);
    await expectProblem(await node.fetch('/Item/bad'), 404, 'NOT_FOUND');
  });

  it('counts what it refuses with what it answers', async () => {
    const labels = { resource: 'Item', method: 'PUT', status: '400' };
    const before = await node.metric('millrace_http_requests_total', labels);
    await put('/Item/bad', '{');
    await put('/Item/%ff', '{}');
    expect(await node.metric('millrace_http_requests_total', labels)).toBe(before + 2);
  });

  it('refuses what a sealed type does not name, and what it requires and misses', async () => {
    await expectProblem(await put('/Sealed/a', '{"name":"x","more":1}'), 400, 'RECORD_INVALID');
    const missing = await expectProblem(
      await put('/Sealed/a', '{"count":1}'),
      400,
      'RECORD_INVALID',
    );
    expect(missing.detail).toContain('name');
    expect((await put('/Sealed/a', '{"name":"x","count":1}')).status).toBe(201);
    const patch = { method: 'PATCH', headers: JSON_BODY };
    const more = await node.fetch('/Sealed/a', { ...patch, body: '{"more":1}' });
    await expectProblem(more, 400, 'RECORD_INVALID');
    const nameless = await node.fetch('/Sealed/a', { ...patch, body: '{"name":null}' });
    await expectProblem(nameless, 400, 'RECORD_INVALID');
    expect(await json(await node.fetch('/Sealed/a'))).toEqual({ id: 'a', name: 'x', count: 1 });
  });

  it('lets nobody reach a prototype: __proto__ is refused at the top and plain data below', async () => {
    const top = '{"note":"x","__proto__":{"polluted":true}}';
    await expectProblem(await put('/Item/proto', top), 400, 'RECORD_INVALID');
    const below = '{"constructor":{"a":1},"extra":{"__proto__":{"polluted":true}}}';
    expect((await put('/Item/proto', below)).status).toBe(201);
    for (const type of ['application/json', 'application/merge-patch+json']) {
      const patch = { method: 'PATCH', headers: { 'content-type': type } };
      const refused = await node.fetch('/Item/proto', { ...patch, body: '{"__proto__":{"p":1}}' });
      await expectProblem(refused, 400, 'RECORD_INVALID');
      const body = '{"extra":{"__proto__":{"deep":1}}}';
      expect((await node.fetch('/Item/proto', { ...patch, body })).status).toBe(204);
    }
    expect(await (await node.fetch('/Item/proto')).text()).toContain('"__proto__":{"deep":1}');
    // Nothing that came later has inherited anything.
    expect((await put('/Item/plain', '{"note":"y"}')).status).toBe(201);
    expect(await json(await node.fetch('/Item/plain'))).toEqual({ id: 'plain', note: 'y' });
  });

  it('refuses a body above the limit, declared or streamed, with 413 [RFC9110 §15.5.14]', async () => {
    const body = JSON.stringify({ note: 'x'.repeat(70_000) });
    await expectProblem(await put('/Item/big', body), 413, 'BODY_TOO_LARGE');
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const head = 'PUT /Item/big HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    const streamed = await sendRaw(node.http, `${head}Transfer-Encoding: chunked\r\n`, chunk);
    // The uWS engine takes no chunked uploads at all [RFC9110 §15.5.12].
    expect(rawStatus(streamed)).toBe(engine === 'node' ? 413 : 411);
    await expectProblem(await node.fetch('/Item/big'), 404, 'NOT_FOUND');
  });

  it('refuses a long URL with 414 and a long head with 431', async () => {
    await expectProblem(await node.fetch(`/Item/${'k'.repeat(9_000)}`), 414, 'URL_TOO_LONG');
    const head = `GET /Item/good HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n`;
    expect(rawStatus(await sendRaw(node.http, head))).toBe(431);
  });

  it.each([
    ['half a percent sign', '/Item/%', 400, 'KEY_INVALID'],
    ['bytes that are no UTF-8', '/Item/%ff%fe', 400, 'KEY_INVALID'],
    ['an encoded surrogate', '/Item/%ED%A0%80', 400, 'KEY_INVALID'],
    ['a zero byte', '/Item/a%00b', 400, 'KEY_INVALID'],
    ['a line break', '/Item/a%0d%0ab', 400, 'KEY_INVALID'],
    ['too many bytes', `/Item/${'k'.repeat(1_979)}`, 414, 'KEY_TOO_LONG'],
  ])('refuses a key of %s', async (_what, target, status, code) => {
    const answer = await sendRaw(node.http, `GET ${target} HTTP/1.1\r\nHost: a\r\n`);
    expect([rawStatus(answer), answer]).toEqual([status, expect.stringContaining(`"${code}"`)]);
    expect(answer).toMatch(/content-type: application\/problem\+json/i);
  });

  it('takes the longest key it promises', async () => {
    const key = 'k'.repeat(1_978);
    expect((await node.put(`/Item/${key}`, { note: 'long' })).status).toBe(201);
    expect(await json(await node.fetch(`/Item/${key}`))).toEqual({ id: key, note: 'long' });
  });

  it('knows no other table, whatever the method', async () => {
    await expectProblem(await node.fetch('/Nowhere/a'), 404, 'NOT_FOUND');
    await expectProblem(await node.fetch('/item/good'), 404, 'NOT_FOUND');
    await expectProblem(await node.put('/Nowhere/a', {}), 404, 'TABLE_UNKNOWN');
    await expectProblem(await node.fetch('/'), 404, 'NOT_FOUND');
  });

  it('refuses a body that is not JSON by its type, or is encoded, with 415 [RFC9110 §15.5.16]', async () => {
    const type = { 'content-type': 'text/plain' };
    await expectProblem(await put('/Sealed/x', '{}', type), 415, 'CONTENT_TYPE_UNSUPPORTED');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    await expectProblem(await put('/Item/x', '{}', form), 415, 'CONTENT_TYPE_UNSUPPORTED');
    const zipped = await put('/Item/x', gzipSync('{}'), {
      ...JSON_BODY,
      'content-encoding': 'gzip',
    });
    await expectProblem(zipped, 415, 'CONTENT_TYPE_UNSUPPORTED');
    const patch = { method: 'PUT', headers: { 'content-type': 'application/merge-patch+json' } };
    const wrong = await node.fetch('/Item/x', { ...patch, body: '{}' });
    await expectProblem(wrong, 415, 'CONTENT_TYPE_UNSUPPORTED');
    const charset = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await put('/Item/charset', '{}', charset)).status).toBe(201);
  });

  it('survives bytes that are no HTTP', async () => {
    for (const bytes of ['\r\n\r\n', 'hello\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00']) {
      const answer = await sendBytes(node.http, Buffer.from(bytes, 'latin1'), { halfClose: true });
      expect([0, 400, 505]).toContain(rawStatus(answer));
    }
    // Without a Host: the uWS engine closes, the other says why [RFC9112 §3.2].
    const hostless = await sendRaw(node.http, 'GET /Item/good HTTP/1.1\r\n');
    expect(rawStatus(hostless)).toBe(engine === 'uws' ? 0 : 400);
  });
});
