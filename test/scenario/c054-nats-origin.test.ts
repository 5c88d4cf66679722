/** A table fed by a real NATS server, which goes away and comes back; skipped without one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { read } from '../support/cache-apps.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const SERVER = '/usr/sbin/nats-server';
const isMissing = !existsSync(SERVER);

const SCHEMA = `type Flight @table @sourcedFrom(origin: "news", write: through)
  @cache(freshness: { default: "1h", jitter: "0%" }, stale: { ifError: "1h" })
  @export(public: [read, insert, update, delete, subscribe]) { id: ID @primaryKey }\n`;

describe.skipIf(isMissing)(
  `a NATS server${isMissing ? ' (nats-server is not installed)' : ''}`,
  () => {
    let folder = '';
    let port = 0;
    let server: ChildProcess;
    let client: NatsConnection;
    let node: NodeProcess | undefined;

    async function startServer(): Promise<void> {
      const flags = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', path.join(folder, 'js')];
      server = spawn(SERVER, [...flags, '--user', 'u', '--pass', 'p'], { stdio: 'ignore' });
      const servers = `127.0.0.1:${port}`;
      client = await until('the server', () =>
        connect({ servers, user: 'u', pass: 'p', reconnect: false }).catch(() => undefined),
      );
    }
    const stopServer = async (): Promise<void> => {
      await client.close();
      const ended = new Promise((resolve) => server.once('close', resolve));
      server.kill('SIGTERM');
      await ended;
    };
    const addStream = async (name = 'FLIGHTS', subjects = ['flights.*']) => {
      const manager = await jetstreamManager(client);
      await manager.streams.add({ name, subjects });
      return manager;
    };

    beforeEach(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'millrace-nats-'));
      port = await freePort();
      await startServer();
    });
    afterEach(async () => {
      await node?.dispose();
      node = undefined;
      await stopServer();
      rmSync(folder, { recursive: true, force: true });
    });

    async function start(origin: string, reachable = 'allowPrivate: true'): Promise<NodeProcess> {
      const url = `url: nats://u:p@127.0.0.1:${port}`;
      node = await startNode({
        files: {
          'schema.graphql': SCHEMA,
          'origins/news.yaml': `kind: nats\n${url}\n${reachable}\n${origin}\n`,
        },
        flags: ['--threads', '1'],
      });
      return node;
    }
    const isFed = (one: NodeProcess, value: 0 | 1) =>
      until(`feed_connected ${value}`, async () => {
        return (await one.metric('millrace_feed_connected', { origin: 'news' })) === value;
      });
    const keep = (subject: string, payload: object | string) =>
      jetstream(client).publish(
        subject,
        typeof payload === 'string' ? payload : JSON.stringify(payload),
      );
    const shows = (one: NodeProcess, id: string, text: string) =>
      until(`${id} to show ${text}`, async () =>
        (await read(one, `/Flight/${id}`)).text.includes(text),
      );
    const isGone = (one: NodeProcess, id: string) =>
      until(`${id} to be gone`, async () => (await read(one, `/Flight/${id}`)).status === 404);

    it('brings the newest message of each subject, and then all that a stream keeps', async () => {
      await addStream();
      for (const gate of ['A1', 'A2', 'A3']) await keep('flights.AA100', { gate });
      await keep('flights.BA7', '42');
      const one = await start('subject: "flights.{id}"\nstream: FLIGHTS');
      await shows(one, 'AA100', '"gate":"A3"');
      await shows(one, 'BA7', '"value":42');
      await keep('flights.AA100', { gate: 'B1' });
      await shows(one, 'AA100', '"gate":"B1"');
      expect((await read(one, '/Flight/AA100')).cache).toMatch(/^millrace; hit/);
      await keep('flights.AA100', '');
      await isGone(one, 'AA100');
    });

    it('is told all that was said while the server or the node was away', async () => {
      await addStream();
      const one = await start('subject: "flights.{id}"\nstream: FLIGHTS');
      await keep('flights.X1', { n: 1 });
      await shows(one, 'X1', '"n":1');
      await stopServer();
      await isFed(one, 0);
      expect((await read(one, '/Flight/X1')).text).toContain('"n":1');
      await startServer();
      await keep('flights.X1', { n: 2 });
      await keep('flights.X2', { n: 3 });
      await isFed(one, 1);
      await shows(one, 'X1', '"n":2');
      await shows(one, 'X2', '"n":3');
    });

    it('begins again with the newest when the stream does not reach back any more', async () => {
      const manager = await addStream();
      const one = await start('subject: "flights.{id}"\nstream: FLIGHTS');
      await keep('flights.X1', { n: 1 });
      await shows(one, 'X1', '"n":1');
      await stopServer();
      await isFed(one, 0);
      await startServer();
      const again = await jetstreamManager(client);
      await again.streams.delete('FLIGHTS');
      expect(manager).toBeDefined();
      await addStream();
      await keep('flights.X2', { n: 9 });
      await isFed(one, 1);
      await shows(one, 'X2', '"n":9');
      // What the new stream does not know of may be served as stale, never as fresh.
      expect((await read(one, '/Flight/X1')).cache).not.toMatch(/^millrace; hit; ttl=[1-9]/);
    });

    it('reads the buckets of the key-value store, deletions too', async () => {
      await addStream('KV_flights', ['$KV.flights.>']);
      const one = await start('subject: "$KV.flights.{id}"\nstream: KV_flights');
      await keep('$KV.flights.K1', { on: true });
      await shows(one, 'K1', '"on":true');
      const marks = headers();
      marks.set('KV-Operation', 'DEL');
      await jetstream(client).publish('$KV.flights.K1', '', { headers: marks });
      await isGone(one, 'K1');
    });

    it('hears plain subjects, takes the id from the message, and writes where it is told', async () => {
      const told: string[] = [];
      client.subscribe('set.*', {
        callback: (_, message) => {
          told.push(`${message.subject} ${message.string()}`);
        },
      });
      const one = await start(
        'subject: "site.>"\nfeed: { id: $.flight, value: $.now }\npublish: "set.{id}"',
      );
      await isFed(one, 1);
      client.publish('site.a.b', JSON.stringify({ flight: 'p1', now: { gate: 3 } }));
      await shows(one, 'p1', '"gate":3');
      expect((await one.put('/Flight/w1', { id: 'w1', on: true })).status).toBeLessThan(300);
      await until('the write', () => told.includes('set.w1 {"id":"w1","on":true}'));
      expect((await one.put('/Flight/w.1', { id: 'w.1' })).status).toBe(422);
    });

    it('does not reach a private address that is not allowed', async () => {
      const one = await start('subject: "flights.{id}"', 'allowPrivate: false');
      await until('the refusal', () =>
        (one.stdout() + one.stderr()).includes('is the private address 127.0.0.1'),
      );
      expect(await one.metric('millrace_feed_connected', { origin: 'news' })).toBe(0);
    });
  },
);
