/** Request bodies within their limits, and large answers to slow readers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import type { Abilities } from './suite.ts';
import { bigBody, Target } from './target.ts';

const post = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

export function describeBodies(engine: HttpEngine, abilities: Abilities): void {
  describe('bodies', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    it.each([0, 1, 1000, 100_000, 256 * 1024])('takes a body of %i bytes', async (length) => {
      const body = Buffer.alloc(length, 'abc');
      const response = await fetch(target.url('/echo'), { method: 'POST', body });
      expect(response.status).toBe(200);
      expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    });

    it('takes a body that arrives byte by byte', async () => {
      const client = new RawClient(target.port);
      client.send(post('/echo', 5));
      for (const byte of 'abcde') {
        client.send(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.until((text) => text.endsWith('abcde'));
      client.destroy();
    });

    it('hands over a body that is asked for late, however large', async () => {
      const body = Buffer.alloc(1024 * 1024, 'x');
      const response = await fetch(target.url('/echo-late'), { method: 'POST', body });
      expect(await response.text()).toBe(String(body.length));
    });

    it('goes on with the next request after a body nobody read', async () => {
      const client = new RawClient(target.port);
      client.send(
        `${post('/ignored', 3000)}${'z'.repeat(3000)}GET /hello HTTP/1.1\r\nHost: a\r\n\r\n`,
      );
      const text = await client.until((all) => all.endsWith('hello'));
      expect(statusesIn(text)).toEqual([200, 200]);
      client.destroy();
    });

    it('answers 413 for a declared body beyond the limit [RFC9110 §15.5.14]', async () => {
      const client = new RawClient(target.port);
      client.send(post('/echo', 256 * 1024 + 1));
      const text = await client.until((all) => all.includes('BODY_TOO_LARGE'));
      expect(statusesIn(text)).toEqual([413]);
      client.destroy();
    });

    it('tells an await for the body when the client leaves in the middle', async () => {
      target.aborted.length = 0;
      target.executed.length = 0;
      const client = new RawClient(target.port);
      client.send(`${post('/echo', 1000)}half`);
      await expect.poll(() => target.executed.at(-1)).toBe('POST /echo');
      client.destroy();
      await expect.poll(() => target.aborted).toContain('/echo');
      expect((await fetch(target.url('/hello'))).status).toBe(200);
    });

    it('survives a client that leaves before an asynchronous reply', async () => {
      target.aborted.length = 0;
      target.executed.length = 0;
      const client = new RawClient(target.port);
      client.send('GET /held HTTP/1.1\r\nHost: a\r\n\r\n');
      await expect.poll(() => target.executed.at(-1)).toBe('GET /held');
      client.destroy();
      await expect.poll(() => target.aborted).toContain('/held');
      target.release();
      expect((await fetch(target.url('/hello'))).status).toBe(200);
    });

    it('survives clients that leave at every point of an exchange', async () => {
      const paths = ['/echo', '/echo-late', '/later', '/held', '/big', '/big-later', '/stream'];
      for (let round = 0; round < 12; round += 1) {
        const clients = paths.map((path) => {
          const client = new RawClient(target.port);
          client.send(`${post(path, 20)}${'b'.repeat(round % 2 === 0 ? 20 : 10)}`);
          return client;
        });
        for (let turn = 0; turn < round; turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        for (const client of clients) client.destroy();
      }
      const response = await fetch(target.url('/hello'));
      expect(response.status).toBe(200);
      expect(target.faults).toEqual([]);
    });

    it('lets a listener of the leaving fail, and still tells the others', async () => {
      target.aborted.length = 0;
      const client = new RawClient(target.port);
      client.send('GET /abort-throws HTTP/1.1\r\nHost: a\r\n\r\n');
      await expect.poll(() => target.executed.at(-1)).toBe('GET /abort-throws');
      client.destroy();
      await expect.poll(() => target.aborted).toContain('/abort-throws');
      expect(target.aborted).toContain('the second listener');
      expect(target.faults.splice(0)).toHaveLength(1);
    });

    it.each(['/big', '/big-later', '/view'])('sends %s whole to a slow reader', async (path) => {
      const client = new RawClient(target.port);
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.untilBytes(1);
      for (let pause = 0; pause < 5; pause += 1) {
        client.socket.pause();
        await new Promise((resolve) => setTimeout(resolve, 20));
        client.socket.resume();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.untilBytes(bigBody.length + 1);
      const head = client.bytes.indexOf('\r\n\r\n') + 4;
      await client.untilBytes(head + bigBody.length);
      const body = client.bytes.subarray(head);
      expect(body.equals(bigBody)).toBe(true);
      client.send('GET /hello HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.untilBytes(head + bigBody.length + 1);
      expect(client.bytes.subarray(head + bigBody.length).toString()).toMatch(/^HTTP\/1.1 200/);
      client.destroy();
    });

    it('survives a reader that leaves in the middle of a large answer', async () => {
      target.aborted.length = 0;
      target.executed.length = 0;
      const client = new RawClient(target.port);
      client.send('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
      client.socket.pause();
      await expect.poll(() => target.executed.at(-1)).toBe('GET /big');
      client.destroy();
      await expect.poll(() => target.aborted).toContain('/big');
      expect((await fetch(target.url('/hello'))).status).toBe(200);
    });

    const chunked =
      'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    if (abilities.chunkedUploads) {
      it('takes chunked uploads within the limit', async () => {
        const client = new RawClient(target.port);
        client.send(chunked);
        await client.until((text) => text.endsWith('abc'));
        client.destroy();
      });
      it('answers 413 for a chunked upload beyond the limit and stops reading it', async () => {
        const client = new RawClient(target.port);
        client.send('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
        const piece = `10000\r\n${'c'.repeat(65536)}\r\n`;
        for (let i = 0; i < 5; i += 1) client.send(piece);
        const text = await client.until((all) => all.includes('BODY_TOO_LARGE'));
        expect(statusesIn(text)).toEqual([413]);
        client.destroy();
      });
    } else {
      it('answers 411 for chunked uploads and closes [RFC9110 §15.5.12]', async () => {
        const client = new RawClient(target.port);
        client.send(chunked);
        const text = await client.closed();
        expect(statusesIn(text)).toEqual([411]);
      });
    }

    const expecting = (path: string, length: number) =>
      post(path, length).replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n');

    it.runIf(abilities.continuesWhenAsked).each([
      ['nobody reads', '/ignored', 3, 200],
      ['is too large', '/echo', 256 * 1024 + 1, 413],
    ])('does not ask for a body that %s [RFC9110 §10.1.1]', async (_, path, length, status) => {
      const client = new RawClient(target.port);
      client.send(expecting(path, length));
      expect(statusesIn(await client.closed())).toEqual([status]);
    });

    it('answers 100 to Expect: 100-continue, then takes the body [RFC9110 §10.1.1]', async () => {
      const client = new RawClient(target.port);
      const fields = 'Host: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n';
      client.send(`POST /echo HTTP/1.1\r\n${fields}\r\n`);
      await client.until((text) => text.includes('100 Continue'));
      client.send('abc');
      await client.until((text) => text.endsWith('abc'));
      client.destroy();
    });

    it('answers 417 to any other expectation', async () => {
      const client = new RawClient(target.port);
      client.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: tea\r\n\r\n');
      await client.until((text) => text.includes('417'));
      client.destroy();
    });
  });
}
