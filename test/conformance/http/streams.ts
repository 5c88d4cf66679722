/** Streamed answers: declared or chunked, back-pressure, cut off at either end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient } from './raw-client.ts';
import { bigBody, Target } from './target.ts';

export function describeStreams(engine: HttpEngine): void {
  describe('streams', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    it.each(['/stream?length', '/stream'])('streams %s whole to a slow reader', async (path) => {
      const response = await fetch(target.url(path));
      const parts: Uint8Array[] = [];
      for await (const part of response.body ?? []) {
        parts.push(part);
        if (parts.length % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(Buffer.concat(parts).equals(bigBody)).toBe(true);
    });

    it('holds little in memory while the reader stands still', async () => {
      const client = new RawClient(target.port);
      client.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
      client.socket.pause();
      target.executed.length = 0;
      await expect.poll(() => target.executed.at(-1)).toBe('GET /stream');
      const writer = target.writer;
      await expect.poll(() => writer?.bufferedBytes ?? 0).toBeGreaterThan(0);
      expect(writer?.bufferedBytes).toBeLessThan(256 * 1024);
      client.destroy();
      await expect.poll(() => writer?.aborted).toBe(true);
      expect(writer?.write('after')).toBe(false);
      writer?.end();
    });

    it('cuts the connection when fewer bytes are written than declared', async () => {
      const client = new RawClient(target.port);
      client.send('GET /short HTTP/1.1\r\nHost: a\r\n\r\n');
      const text = await client.closed();
      expect(text.split('\r\n\r\n')[1]?.length ?? 0).toBeLessThan(100);
    });

    it('lets the client see that a destroyed stream is incomplete [RFC9112 §8]', async () => {
      const client = new RawClient(target.port);
      client.send('GET /cut HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.until((text) => text.includes('first'));
      target.release();
      expect(await client.closed()).not.toMatch(/\r\n0\r\n\r\n$/);
    });

    it('sends each event of an event stream at once, and learns that the reader left', async () => {
      const client = new RawClient(target.port);
      client.send('GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n');
      await client.until((text) => text.includes(': open\n\n'));
      for (let i = 1; i <= 3; i += 1) {
        expect(target.writer?.write(`id: ${i}\ndata: {}\n\n`)).toBe(true);
        await client.until((text) => text.includes(`id: ${i}\n`));
      }
      client.destroy();
      await expect.poll(() => target.writer?.aborted).toBe(true);
    });
  });
}
