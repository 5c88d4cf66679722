/** WebSockets: the opening handshake's checks, messages, back-pressure, close codes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { must } from '../../../src/base/assert.ts';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { RawClient, statusesIn } from './raw-client.ts';
import { Target } from './target.ts';

const fields: Readonly<Record<string, string>> = {
  Host: 'node.example',
  Upgrade: 'websocket',
  Connection: 'keep-alive, Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

function handshake(path: string, changes: Readonly<Record<string, string | undefined>>): string {
  const lines = Object.entries({ ...fields, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
}

const nextMessage = (socket: WebSocket) =>
  new Promise<{ text: string; binary: boolean }>((resolve) =>
    socket.once('message', (bytes, binary) => resolve({ text: String(bytes), binary })),
  );

const closeCode = (socket: WebSocket) =>
  new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)));

export function describeSockets(engine: HttpEngine): void {
  describe('WebSockets', () => {
    const target = new Target();
    beforeAll(() => target.start(engine));
    afterAll(() => target.stop());

    const open = async (path: string, options = {}) => {
      const url = `ws://127.0.0.1:${target.port}${path}`;
      const socket = new WebSocket(url, ['other', 'chat'], options);
      await opened(socket);
      return socket;
    };
    const status = async (bytes: string) => {
      const client = new RawClient(target.port);
      client.send(bytes);
      const text = await client.until((all) => all.includes('\r\n\r\n'));
      client.destroy();
      return statusesIn(text)[0];
    };

    it.each(['/ws', '/ws-later'])('opens %s with the agreed subprotocol', async (path) => {
      const socket = await open(path);
      expect(socket.protocol).toBe('chat');
      expect(target.sockets.at(-1)?.state.path).toBe(path);
      expect(target.sockets.at(-1)?.remoteAddress).toBe('127.0.0.1');
      socket.terminate();
    });

    it('completes the handshake of RFC 6455 §1.3', async () => {
      const client = new RawClient(target.port);
      client.send(handshake('/ws', {}));
      const text = await client.until((all) => all.includes('\r\n\r\n'));
      expect(text).toMatch(/^HTTP\/1\.1 101 /);
      expect(text).toMatch(/sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
      expect(text).not.toMatch(/sec-websocket-protocol/i);
      client.destroy();
    });

    it.each([
      ['a wrong version [RFC6455 §4.4]', { 'Sec-WebSocket-Version': '8' }, 426],
      ['no version', { 'Sec-WebSocket-Version': undefined }, 426],
      ['no upgrade in Connection', { Connection: 'keep-alive' }, 400],
      ['a short key', { 'Sec-WebSocket-Key': 'abc' }, 400],
      ['a key of 24 bytes that is not base64', { 'Sec-WebSocket-Key': '?'.repeat(24) }, 400],
      ['a foreign Origin', { Origin: 'https://evil.example' }, 403],
      ['the null Origin', { Origin: 'null' }, 403],
      ['an Origin with the right host at another port', { Origin: 'http://node.example:81' }, 403],
      ['a body', { 'Content-Length': '3' }, 400],
    ] as const)('refuses a handshake with %s', async (_, changes, expected) => {
      const answered = await status(handshake('/ws', changes));
      // Without `Connection: upgrade` an engine may treat it as a plain request, never as a socket.
      if ('Connection' in changes) expect([400, 404]).toContain(answered);
      else expect(answered).toBe(expected);
    });

    it.each([
      ['its own', { Origin: 'http://node.example' }],
      [
        'its own over TLS with the default port',
        { Origin: 'https://node.example', Host: 'node.example:443' },
      ],
      ['an allowed', { Origin: 'https://friend.example' }],
      ['no', {}],
    ])('accepts a handshake with %s Origin', async (_, changes) => {
      expect(await status(handshake('/ws', changes))).toBe(101);
    });

    it('keeps what is sent to many in order with what is sent to one, and loses none', async () => {
      const client = await open('/ws');
      const socket = must(target.sockets.at(-1), 'the socket opened last');
      const { broadcast } = socket;
      // An engine without it sends to each by itself.
      expect(broadcast === undefined).toBe(engine === 'node');
      if (broadcast === undefined) return client.terminate();
      const heard: string[] = [];
      client.on('message', (bytes) => heard.push(String(bytes)));
      const publish = (text: string) => broadcast.send('t', Buffer.from(text), false);
      const say = (text: string) => socket.send(Buffer.from(text), false);
      socket.join?.('t');
      publish('1');
      say('2');
      publish('3');
      // What was published this turn still comes to who leaves, and nothing after it.
      socket.leave?.('t');
      publish('never');
      say('4');
      socket.join?.('t');
      for (let n = 5; n < 105; n += 1) publish(String(n));
      socket.close(4000, 'that was all');
      expect(await closeCode(client)).toBe(4000);
      expect(heard).toEqual(Array.from({ length: 104 }, (_, n) => String(n + 1)));
    });

    it('serves a plain reply to an upgrade it does not know [RFC9110 §7.8]', async () => {
      const bytes = 'GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
      expect(await status(bytes)).toBe(200);
    });

    it('answers what the protocol refuses with its own status', async () => {
      expect(await status(handshake('/ws-refused', {}))).toBe(403);
    });

    it('answers 500 when the protocol throws during the handshake', async () => {
      expect(await status(handshake('/ws-throws', {}))).toBe(500);
    });

    it('sends on open and keeps text and binary apart', async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${target.port}/ws-hello`);
      expect(await nextMessage(socket)).toEqual({ text: 'hello', binary: false });
      socket.send('text');
      expect(await nextMessage(socket)).toEqual({ text: 'text', binary: false });
      socket.send(Buffer.from('bytes'));
      expect(await nextMessage(socket)).toEqual({ text: 'bytes', binary: true });
      target.sockets.at(-1)?.send(Buffer.from('encoded once'), false);
      expect(await nextMessage(socket)).toEqual({ text: 'encoded once', binary: false });
      socket.terminate();
    });

    it('closes with 1009 or 1006 on a message beyond the limit', async () => {
      const socket = await open('/ws');
      const closed = closeCode(socket);
      socket.send('x'.repeat(64 * 1024 + 1));
      expect([1006, 1009]).toContain(await closed);
    });

    it('passes close codes both ways', async () => {
      const socket = await open('/ws');
      const closed = closeCode(socket);
      target.sockets.at(-1)?.close(4001, 'go elsewhere');
      expect(await closed).toBe(4001);
      expect(target.sockets.at(-1)?.closed).toBe(true);
      expect(target.sockets.at(-1)?.send('after')).toBe('dropped');
      const other = await open('/ws');
      other.close(4002);
      await expect.poll(() => target.closedCodes).toContain(4002);
    });

    it('tells the close of a terminated socket once', async () => {
      const socket = await open('/ws');
      target.closedCodes.length = 0;
      const closed = closeCode(socket);
      target.sockets.at(-1)?.terminate();
      expect(await closed).toBe(1006);
      await expect.poll(() => target.closedCodes).toEqual([1006]);
    });

    it('closes with 1011 when the message handler throws, and lives on', async () => {
      const socket = await open('/ws');
      const closed = closeCode(socket);
      socket.send('throw');
      expect(await closed).toBe(1011);
      expect((await fetch(target.url('/hello'))).status).toBe(200);
    });

    it('reports buffered, then dropped, to a reader that stands still, then drains', async () => {
      const socket = await open('/ws');
      const server = target.sockets.at(-1);
      const drains = target.drains;
      socket.pause();
      const results = new Set<string>();
      const chunk = Buffer.alloc(64 * 1024);
      for (let i = 0; i < 1000 && !results.has('dropped'); i += 1) {
        results.add(server?.send(chunk) ?? '');
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      expect([...results].sort()).toEqual(['buffered', 'dropped', 'sent']);
      expect(server?.bufferedBytes).toBeGreaterThan(0);
      expect(server?.bufferedBytes).toBeLessThan(1024 * 1024);
      socket.resume();
      await expect.poll(() => target.drains).toBeGreaterThan(drains);
      await expect.poll(() => server?.bufferedBytes).toBe(0);
      socket.terminate();
    });
  });
}
