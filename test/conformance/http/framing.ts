/**
 * The framing guard over the wire. Each case sends a head that two parsers could read differently
 * with a second request hidden behind it, and asserts that the hidden one is never executed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import type { Abilities } from './suite.ts';
import { Target } from './target.ts';

interface Case {
  readonly name: string;
  readonly head: string;
  readonly body?: string | undefined;
  /** The engine that may execute the first request, since it decodes this framing strictly. */
  readonly takenBy?: HttpEngine | undefined;
}

const cases: readonly Case[] = [
  {
    name: 'GET with a body',
    head: 'GET /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n',
    body: 'abc',
  },
  {
    name: 'GET with a chunked body',
    head: 'GET /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    name: 'HEAD with a body',
    head: 'HEAD /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n',
    body: 'abc',
  },
  {
    name: 'two equal Content-Length fields',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n',
    body: 'abc',
  },
  {
    name: 'two different Content-Length fields',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 40\r\n',
  },
  {
    name: 'a list as Content-Length',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n',
  },
  {
    name: 'a signed Content-Length',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n',
  },
  {
    name: 'both Content-Length and Transfer-Encoding',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    name: 'Transfer-Encoding: xchunked',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    name: 'Transfer-Encoding: identity',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n',
  },
  {
    name: 'an empty Transfer-Encoding before a chunked one',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    name: 'Transfer-Encoding: gzip, chunked',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    name: 'a chunk with bytes after it',
    head: 'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n',
    body: '1\r\naXX0\r\n\r\n',
    takenBy: 'node',
  },
  { name: 'two Host fields', head: 'GET /first HTTP/1.1\r\nHost: a\r\nHost: b\r\n' },
  { name: 'no Host field', head: 'GET /first HTTP/1.1\r\nAccept: */*\r\n' },
  { name: 'a Host with a user part', head: 'GET /first HTTP/1.1\r\nHost: user@a\r\n' },
  { name: 'a Host with a path', head: 'GET /first HTTP/1.1\r\nHost: a/b\r\n' },
  {
    name: 'space before a colon',
    head: 'GET /first HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n',
  },
  { name: 'a folded field', head: 'GET /first HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n' },
  { name: 'NUL in a field', head: 'GET /first HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n' },
  { name: 'a line ended by LF only', head: 'GET /first HTTP/1.1\nHost: a\r\n' },
];

const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';

export function describeFraming(engine: HttpEngine, _: Abilities): void {
  describe('the framing guard', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    it.each(cases)(
      'executes nothing behind $name [RFC9112 §11.2]',
      async ({ head, body = '', takenBy }) => {
        target.executed.length = 0;
        const client = new RawClient(target.port);
        client.send(`${head}\r\n${body}${hidden}`);
        // Some builds hold a malformed connection open in silence; a control request passes them.
        const control = await fetch(target.url('/hello'));
        expect(control.status).toBe(200);
        await client
          .until(() => client.ended || client.text.length > 0, 300)
          .catch(() => undefined);
        await fetch(target.url('/hello'));
        expect(target.executed).not.toContain('GET /first');
        if (takenBy !== engine) expect(target.executed).not.toContain('POST /first');
        expect(target.executed).not.toContain('GET /hidden');
        expect(statusesIn(client.text).filter((status) => status < 400)).toEqual([]);
        client.destroy();
      },
    );

    const alone = cases.filter(({ name }) => /GET with|Host with|two equal|xchunked/.test(name));
    it.each(alone)('answers and closes when nothing is hidden behind $name', async (sent) => {
      const client = new RawClient(target.port);
      client.send(`${sent.head}\r\n${sent.body ?? ''}`);
      const text = await client.closed();
      expect(statusesIn(text)).toHaveLength(1);
      expect(statusesIn(text)[0]).toBeGreaterThanOrEqual(400);
      expect(text).toMatch(/connection: close/i);
    });

    it('answers 414 for a URL beyond the limit', async () => {
      const response = await fetch(target.url(`/hello?${'x'.repeat(2100)}`));
      expect(response.status).toBe(414);
    });

    it('answers 431 for a head beyond the limit, or cuts it off', async () => {
      const client = new RawClient(target.port);
      client.send(`GET /hello HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`);
      await client.until((text) => client.ended || statusesIn(text).length > 0);
      expect(statusesIn(client.text).every((status) => status === 431)).toBe(true);
      client.destroy();
    });

    it('takes a request head of 3 KiB in several packets', async () => {
      const client = new RawClient(target.port);
      client.send('GET /hello HTTP/1.1\r\nHost: a\r\n');
      for (let i = 0; i < 3; i += 1) {
        client.send(`X-${i}: ${'y'.repeat(1000)}\r\n`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.send('\r\n');
      await client.until((text) => text.endsWith('hello'));
      client.destroy();
    });

    it('tells its owner what it refused', async () => {
      target.refused.length = 0;
      await fetch(target.url(`/hello?${'x'.repeat(2100)}`));
      expect(target.refused).toHaveLength(1);
    });
  });
}
