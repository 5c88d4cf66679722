/** Listening, port conflicts, draining and closing. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { selectEngine } from '../../../src/protocols/http/engine.ts';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { probePort } from '../../../src/protocols/http/port-probe.ts';
import { TlsCertificates } from '../../../src/protocols/http/tls-files.ts';
import { RawClient } from './raw-client.ts';
import { limits, Target } from './target.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

export function describeLifecycle(engine: HttpEngine): void {
  describe('the life of a listener', () => {
    it('reports the port it bound', async () => {
      const target = await new Target().start(engine);
      expect(target.port).toBeGreaterThan(0);
      expect(target.listener.engine).toBe(engine);
      expect((await fetch(target.url('/hello'))).status).toBe(200);
      await target.stop();
    });

    it('rejects with PORT_IN_USE when the port is taken', async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const { port } = taken.address() as { port: number };
      const start = new Target().start(engine, { port });
      await expect(start).rejects.toMatchObject({ code: 'PORT_IN_USE' });
      await new Promise((resolve) => taken.close(resolve));
    });

    it('rejects an exclusive listener beside one that shares the port', async () => {
      const first = await new Target().start(engine, { shared: true, port: await freePort() });
      const second = new Target().start(engine, { port: first.port });
      await expect(second).rejects.toMatchObject({ code: 'PORT_IN_USE' });
      await expect(probePort('127.0.0.1', first.port)).rejects.toMatchObject({
        code: 'PORT_IN_USE',
      });
      await first.stop();
    });

    it('shares a port between listeners, where the engine can', async ({ skip }) => {
      if (!(await selectEngine(engine)).sharesPorts) return skip();
      const first = await new Target().start(engine, { shared: true, port: await freePort() });
      const second = await new Target().start(engine, { shared: true, port: first.port });
      for (let i = 0; i < 60; i += 1) {
        const client = new RawClient(first.port);
        client.send(get('/hello'));
        await client.until((text) => text.endsWith('hello'));
        client.destroy();
      }
      expect(first.executed.length).toBeGreaterThan(0);
      expect(second.executed.length).toBeGreaterThan(0);
      await first.stop();
      await second.stop();
    });

    it('rejects a host that is not of this machine', async () => {
      const start = new Target().start(engine, { host: '192.0.2.1' });
      await expect(start).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    });

    it('rejects certificates that cannot be read, with their name', () => {
      const files = { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' };
      const open = () =>
        new TlsCertificates({ ...files, clientCertificates: 'request', hosts: [] });
      expect(open).toThrow(/nowhere\/cert\.pem/);
    });

    it('finishes open exchanges and takes no new connection when it stops accepting', async () => {
      const target = await new Target().start(engine);
      const client = new RawClient(target.port);
      client.send(get('/held'));
      await expect.poll(() => target.executed).toEqual(['GET /held']);
      target.listener.stopAccepting();
      await expect(fetch(target.url('/hello'))).rejects.toThrow();
      target.release();
      const text = await client.closed();
      expect(text).toMatch(/released$/);
      expect(text).toMatch(/connection: close/i);
      await target.stop();
    });

    it('closes under load without a fault: streams, held requests, sockets', async () => {
      const target = await new Target().start(engine);
      const clients = ['/stream', '/held', '/events', '/big', '/hello'].flatMap((path) =>
        Array.from({ length: 5 }, () => {
          const client = new RawClient(target.port);
          client.send(get(path));
          client.socket.pause();
          return client;
        }),
      );
      const socket = new WebSocket(`ws://127.0.0.1:${target.port}/ws`);
      await new Promise((resolve) => socket.once('open', resolve));
      await expect.poll(() => target.executed.length).toBe(25);
      await target.stop();
      await expect.poll(() => socket.readyState).toBe(WebSocket.CLOSED);
      await expect.poll(() => target.closedCodes).toEqual([1006]);
      expect(target.aborted).toEqual(expect.arrayContaining(['/stream', '/held', '/events']));
      target.release();
      expect(target.faults).toEqual([]);
      for (const client of clients) client.destroy();
      await target.stop();
    });

    it('refuses connections beyond its limit and recovers', async () => {
      const target = await new Target().start(engine, { limits: { ...limits, connectionsMax: 3 } });
      const held = Array.from({ length: 3 }, () => new RawClient(target.port));
      for (const client of held) client.send(get('/held'));
      await expect.poll(() => target.executed.length).toBe(3);
      const extra = new RawClient(target.port);
      extra.send(get('/hello'));
      const text = await extra.closed();
      expect(text === '' || text.includes(' 503 ')).toBe(true);
      for (const client of held) client.destroy();
      await expect.poll(() => target.listener.connections).toBe(0);
      expect((await fetch(target.url('/hello'))).status).toBe(200);
      await target.stop();
    });
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
