/** Request bodies that a handler reads as they arrive: back-pressure, limits, leaving clients. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import type { Abilities } from './suite.ts';
import { Target, uploadBytesMax } from './target.ts';

const MiB = 1024 * 1024;
const post = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

export function describeUploads(engine: HttpEngine, abilities: Abilities): void {
  describe('streamed request bodies', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    it.each([0, 1, 100_000, 24 * MiB])('hands over all of %i bytes, in order', async (length) => {
      const body = Buffer.alloc(length, 'millrace.');
      const response = await fetch(target.url('/upload'), { method: 'POST', body });
      expect(await response.json()).toEqual({ length, received: length, matches: true });
    });

    it('hands over a body that is asked for late', async () => {
      const body = Buffer.alloc(8 * MiB, 'millrace.');
      const response = await fetch(target.url('/upload-late'), { method: 'POST', body });
      expect(await response.json()).toMatchObject({ received: 8 * MiB, matches: true });
    });

    it('has the sender wait while the reader does', async () => {
      const client = new RawClient(target.port);
      const length = 60 * MiB;
      client.send(post('/upload-held', length));
      const piece = Buffer.alloc(MiB, 'millrace.');
      let unsent = 0;
      for (let sent = 0; sent < length; sent += MiB) {
        client.socket.write(piece, () => {
          unsent -= MiB;
        });
        unsent += MiB;
      }
      await expect.poll(() => target.executed.at(-1)).toBe('POST /upload-held');
      await settled(() => unsent);
      // What the kernel buffers on both sides is gone; the rest still waits in the client.
      expect(unsent).toBeGreaterThan(length / 2);
      target.release();
      await client.until((text) => text.includes(`"received":${length}`), 20_000);
      client.destroy();
    });

    it('throws in the loop when the client leaves in the middle', async () => {
      target.uploadFailures.length = 0;
      const client = new RawClient(target.port);
      client.send(`${post('/upload', 1000)}half`);
      await expect.poll(() => target.uploadBytes).toBe(4);
      client.destroy();
      await expect.poll(() => target.uploadFailures).toEqual(['REQUEST_MALFORMED']);
      expect((await fetch(target.url('/hello'))).status).toBe(200);
    });

    it('throws for a client that has left before the loop', async () => {
      target.uploadFailures.length = 0;
      target.aborted.length = 0;
      const client = new RawClient(target.port);
      client.send(`${post('/upload-held', 1000)}half`);
      await expect.poll(() => target.executed.at(-1)).toBe('POST /upload-held');
      client.destroy();
      await expect.poll(() => target.aborted).toContain('/upload-held');
      target.release();
      await expect.poll(() => target.uploadFailures).toEqual(['REQUEST_MALFORMED']);
    });

    it('answers 413 for a declared body beyond the limit [RFC9110 §15.5.14]', async () => {
      const client = new RawClient(target.port);
      client.send(post('/upload', uploadBytesMax + 1));
      const text = await client.until((all) => all.includes('BODY_TOO_LARGE'));
      expect(statusesIn(text)).toEqual([413]);
      client.destroy();
    });

    it('gives up a large rest with the connection when the loop is left early', async () => {
      const client = new RawClient(target.port);
      client.send(post('/upload-first', 20 * MiB));
      for (let sent = 0; sent < 4; sent += 1) client.send(Buffer.alloc(MiB));
      const text = await client.until((all) => all.includes('enough'));
      expect(statusesIn(text)).toEqual([200]);
      await client.closed();
    });

    it('goes on with the next request when a small rest was given up', async () => {
      const client = new RawClient(target.port);
      client.send(`${post('/upload-first', 3000)}${'a'.repeat(1000)}`);
      await client.until((all) => all.endsWith('enough'));
      client.send(`${'b'.repeat(2000)}GET /hello HTTP/1.1\r\nHost: a\r\n\r\n`);
      const text = await client.until((all) => all.endsWith('hello'));
      expect(statusesIn(text)).toEqual([200, 200]);
      client.destroy();
    });

    if (!abilities.chunkedUploads) return;

    it('streams a chunked upload, whose length is not known', async () => {
      const client = new RawClient(target.port);
      client.send('POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      client.send('9\r\nmillrace.\r\n0\r\n\r\n');
      const text = await client.until((all) => all.includes('}'));
      expect(text).toContain('"received":9');
      expect(text).not.toContain('"length"');
      client.destroy();
    });

    it('answers 413 for a chunked upload beyond the limit', async () => {
      const client = new RawClient(target.port);
      client.send('POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      const piece = `100000\r\n${'c'.repeat(MiB)}\r\n`;
      for (let sent = 0; sent <= uploadBytesMax; sent += MiB) client.send(piece);
      const text = await client.until((all) => all.includes('BODY_TOO_LARGE'), 20_000);
      expect(statusesIn(text)).toEqual([413]);
      client.destroy();
    });
  });
}

/** Resolves once the value has not changed for a number of looks. */
async function settled(value: () => number): Promise<void> {
  let last = value();
  for (let same = 0; same < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}
