/** Requests and replies: keep-alive, pipelining, HEAD, bodiless statuses, faults, header safety. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import type { Abilities } from './suite.ts';
import { Target } from './target.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

export function describeMessages(engine: HttpEngine, abilities: Abilities): void {
  describe('messages', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    const exchange = async (bytes: string, holds: (text: string) => boolean) => {
      const client = new RawClient(target.port);
      client.send(bytes);
      const text = await client.until(holds);
      client.destroy();
      return text;
    };

    it('answers many requests on one connection', async () => {
      const client = new RawClient(target.port);
      for (let i = 1; i <= 5; i += 1) {
        client.send(get(i % 2 === 0 ? '/later' : '/hello'));
        await client.until((text) => statusesIn(text).length === i && /hello$|later$/.test(text));
      }
      expect(client.ended).toBe(false);
      client.destroy();
    });

    it('answers pipelined requests in order [RFC9112 §9.3.2]', async () => {
      const bytes = get('/hello') + get('/status/404') + get('/hello');
      const text = await exchange(bytes, (all) => statusesIn(all).length === 3);
      expect(statusesIn(text)).toEqual([200, 404, 200]);
    });

    it.each(['GET', 'HEAD'])(
      'closes after a %s that asks for it [RFC9112 §9.6]',
      async (method) => {
        const client = new RawClient(target.port);
        client.send(`${method} /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        expect(statusesIn(await client.closed())).toEqual([200]);
      },
    );

    it('executes a request pipelined behind a pending one at most once, in order', async () => {
      target.executed.length = 0;
      const client = new RawClient(target.port);
      client.send(get('/later') + get('/hello'));
      const text = await client.until((all) => client.ended || all.endsWith('hello'));
      if (abilities.pipelinesBehindPending) {
        expect(statusesIn(text)).toEqual([200, 200]);
        expect(text.indexOf('later')).toBeLessThan(text.indexOf('hello'));
      } else {
        expect(client.ended).toBe(true);
        expect(statusesIn(text)).toEqual([]);
      }
      expect(target.executed.filter((line) => line === 'GET /hello').length).toBeLessThan(2);
      client.destroy();
    });

    it('understands a request cut at every byte', async () => {
      const request = 'GET /hello?x=1 HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n';
      for (let cut = 1; cut < request.length; cut += 1) {
        const client = new RawClient(target.port);
        client.send(request.slice(0, cut));
        await new Promise((resolve) => setImmediate(resolve));
        client.send(request.slice(cut));
        const text = await client.until((all) => all.endsWith('hello') || client.ended);
        expect(statusesIn(text), `cut at ${cut}`).toEqual([200]);
        client.destroy();
      }
    });

    const methods = ['PATCH', 'OPTIONS', ...(abilities.otherMethods ? ['PROPFIND', 'PURGE'] : [])];
    it.each(methods)('hands over a %s request as it came', async (method) => {
      const bytes =
        `${method} /request/a%20b?x=%26&y HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice: 2\r\n` +
        'Content-Length: 0\r\n\r\n';
      const text = await exchange(bytes, (all) => all.endsWith('}'));
      const seen = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
      expect(seen).toMatchObject({
        method,
        path: '/request/a%20b',
        query: 'x=%26&y',
        remoteAddress: '127.0.0.1',
        twice: '1, 2',
      });
      expect(seen.fields).toContainEqual(['host', 'a']);
    });

    it('answers HEAD with the length and no body, and keeps the connection', async () => {
      const bytes = `HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n${get('/status/404')}`;
      const text = await exchange(bytes, (all) => statusesIn(all).length === 2);
      const [head = ''] = text.split('HTTP/1.1 404');
      expect(head).toMatch(/content-length: 5\r\n/i);
      expect(head.endsWith('\r\n\r\n')).toBe(true);
    });

    it('answers HEAD of a stream with its declared length', async () => {
      const bytes = `HEAD /stream?length HTTP/1.1\r\nHost: a\r\n\r\n${get('/hello')}`;
      const text = await exchange(bytes, (all) => all.endsWith('hello'));
      expect(text).toMatch(/content-length: 25165824\r\n/i);
    });

    it.each([204, 304])('sends neither body nor length with %i [RFC9110 §8.6]', async (status) => {
      const bytes = get(`/status/${status}`) + get('/hello');
      const text = await exchange(bytes, (all) => all.endsWith('hello'));
      const [first = ''] = text.split('HTTP/1.1 200');
      expect(first).toMatch(/etag: "a"/i);
      expect(first).not.toMatch(/content-length|transfer-encoding/i);
      expect(first.endsWith('\r\n\r\n')).toBe(true);
    });

    it.each(['/throws', '/rejects', '/silent'])(
      'answers 500 for a handler that fails: %s',
      async (path) => {
        const before = target.faults.length;
        const response = await fetch(target.url(path));
        expect(response.status).toBe(500);
        expect(response.headers.get('content-type')).toBe('application/problem+json');
        const problem = await response.text();
        expect(JSON.parse(problem)).toMatchObject({ code: 'INTERNAL', status: 500 });
        expect(problem).not.toContain('secret');
        expect(target.faults.length).toBe(before + 1);
      },
    );

    it('answers the problem of a thrown client error without calling it a fault', async () => {
      const before = target.faults.length;
      const response = await fetch(target.url('/not-found'));
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({
        type: 'urn:millrace:error:not-found',
        detail: 'no such record',
      });
      expect(target.faults.length).toBe(before);
    });

    it('cuts a stream whose handler fails, so that the client sees it', async () => {
      const before = target.faults.length;
      const client = new RawClient(target.port);
      client.send(get('/stream-throws'));
      expect(await client.closed()).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(target.faults.length).toBe(before + 1);
    });

    it('sends the first of two replies and reports the second as a fault', async () => {
      const before = target.faults.length;
      const response = await fetch(target.url('/twice'));
      expect(await response.text()).toBe('first');
      expect(target.faults.length).toBe(before + 1);
    });

    it.each(['a\r\nx-injected: 1', 'a\nb', 'a\rb', 'a\0b'])(
      'never sends a header value with a line end or NUL (%j)',
      async (value) => {
        const path = `/inject?${encodeURIComponent(value)}`;
        const text = await exchange(get(path), (all) => all.includes('INTERNAL'));
        expect(statusesIn(text)).toEqual([500]);
        expect(text.toLowerCase()).not.toContain('x-bad');
        expect(text.toLowerCase()).not.toContain('x-injected');
      },
    );

    it.each(['x y', 'x:y', 'x\r\ny', '', 'content-length', 'Transfer-Encoding'])(
      'never sends a header named %j',
      async (name) => {
        const text = await exchange(get(`/inject-name?${encodeURIComponent(name)}`), (all) =>
          all.includes('INTERNAL'),
        );
        expect(statusesIn(text)).toEqual([500]);
      },
    );
  });
}
