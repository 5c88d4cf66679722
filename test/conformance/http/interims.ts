/** Interim responses: in front of every shape of answer, and never a way to split one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import type { Abilities } from './suite.ts';
import { Target } from './target.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

export function describeInterims(engine: HttpEngine, abilities: Abilities): void {
  describe('interim responses', () => {
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

    it.each(['200', '404', '204', '304', 'stream'])(
      'come before an answer of %s, each whole [RFC9110 §15.2]',
      async (how) => {
        const status = how === 'stream' ? 200 : Number(how);
        const text = await exchange(get(`/interim/${how}`) + get('/hello'), (all) =>
          all.endsWith('hello'),
        );
        expect(statusesIn(text)).toEqual([103, 103, status, 200]);
        expect(text.startsWith('HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n')).toBe(
          true,
        );
        expect(text).toContain('x-name: caf\u00e9\r\n\r\nHTTP/1.1 103');
        expect(text).toContain(`link: </b.js>; rel=preload\r\n\r\nHTTP/1.1 ${status} `);
      },
    );

    it('come before the answer to HEAD', async () => {
      const bytes = `HEAD /interim/200 HTTP/1.1\r\nHost: a\r\n\r\n${get('/hello')}`;
      const text = await exchange(bytes, (all) => all.endsWith('hello'));
      expect(statusesIn(text)).toEqual([103, 103, 200, 200]);
    });

    it('are not sent once the answer has begun', async () => {
      const text = await exchange(get('/interim/200') + get('/hello'), (all) =>
        all.endsWith('hello'),
      );
      expect(text).not.toContain('x-late');
    });

    it.runIf(abilities.interimsAtOnce)('leave before the answer is known', async () => {
      const client = new RawClient(target.port);
      client.send(get('/interim/held'));
      await client.until((text) => statusesIn(text).length === 2);
      target.release();
      const text = await client.until((all) => all.endsWith('released'));
      expect(statusesIn(text)).toEqual([103, 103, 200]);
      client.destroy();
    });

    it('are not sent to a client of HTTP/1.0 [RFC9110 §15.2]', async () => {
      const client = new RawClient(target.port);
      client.send('GET /interim/200 HTTP/1.0\r\nHost: a\r\n\r\n');
      // Some builds do not answer HTTP/1.0 at all.
      await client.until((text) => client.ended || text.endsWith('body'), 300).catch(() => {});
      expect(client.text).not.toContain('103 Early');
      client.destroy();
    });

    it('reach a client that understands them', async () => {
      const response = await fetch(target.url('/interim/200'));
      expect(response.status).toBe(200);
      expect(await response.text()).toBe('body');
    });

    it('are bounded for each answer', async () => {
      const text = await exchange(get('/interim-many'), (all) => all.endsWith('hello'));
      expect(statusesIn(text).length).toBeLessThan(50);
      expect(statusesIn(text).at(-1)).toBe(200);
    });

    it.each([
      ['103', 'x-bad', 'a\r\nx-injected: 1'],
      ['103', 'x-bad', 'a\r\n\r\nHTTP/1.1 200 OK'],
      ['103', 'x-bad', 'a\0b'],
      ['103', 'x-bad:y', 'a'],
      ['103', 'content-length', '5'],
      ['103', 'Transfer-Encoding', 'chunked'],
      ['100', 'x-bad', 'a'],
      ['101', 'upgrade', 'a'],
      ['200', 'x-bad', 'a'],
    ])('of status %s with %j: %j are a fault, of which nothing is sent', async (...parts) => {
      const query = parts.map(encodeURIComponent).join('&');
      const text = await exchange(get(`/interim-bad?${query}`), (all) => all.includes('INTERNAL'));
      expect(statusesIn(text)).toEqual([500]);
      expect(text).not.toMatch(/x-bad|x-injected/i);
    });
  });
}
