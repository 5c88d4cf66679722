/**
 * Nodes whose changes travel by a JetStream stream: each is written once, and comes to all others
 * by the stream alone. The server is killed, wiped, purged; nodes are away for longer than it
 * remembers; strangers write into it. All end the same.
 */
import {
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { NatsFleet } from '../support/nats-fleet.ts';
import { isNatsMissing, NatsServer } from '../support/nats-server.ts';
import { until } from '../support/node-process.ts';

interface StreamParts {
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
  readonly name: string;
}

const NAMES = ['n1', 'n2', 'n3'];

// Some rounds are done again on a machine that is slow.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

describe.skipIf(isNatsMissing)(
  `nodes with a JetStream stream${isNatsMissing ? ' (nats-server is not installed)' : ''} [R13]`,
  () => {
    let server: NatsServer;
    const fleet = new NatsFleet(CLUSTER_APP);
    let rows = 0;

    /** Runs what needs the stream itself. */
    async function withStream<T>(use: (parts: StreamParts) => Promise<T>): Promise<T> {
      const connection = await server.connect();
      try {
        const manager = await jetstreamManager(connection);
        const [name = ''] = await manager.streams.names().next();
        return await use({ manager, client: jetstream(connection), name });
      } finally {
        await connection.close();
      }
    }
    async function write(name: string, count: number): Promise<void> {
      for (let at = 0; at < count; at += 1) {
        rows += 1;
        const answer = await fleet.node(name).put(`/Item/${rows}`, { count: rows });
        expect(answer.status).toBe(201);
      }
    }

    beforeAll(async () => {
      server = await NatsServer.start();
      for (const name of NAMES) await fleet.start(name, server.url);
      await fleet.areTold();
    });
    afterAll(async () => {
      await fleet.dispose();
      await server.dispose();
    });

    it('take what others change from the stream, and not over their connections', async () => {
      await fleet.untilByStream('n2', 40, async () => {
        await write('n1', 20);
        await write('n3', 20);
        await fleet.areSame(rows);
      });
    });

    it('confirm what came by the stream', async () => {
      const node = fleet.node('n1');
      rows += 1;
      const answer = await node.put(`/Item/${rows}`, {}, { 'x-replicate-to': '2;confirm=2' });
      expect(answer.status).toBe(201);
    });

    it('send one another what is too large for a message of the server', async () => {
      rows += 1;
      const large = { name: 'x'.repeat(1_047_000) };
      expect((await fleet.node('n1').put(`/Item/${rows}`, large)).status).toBe(201);
      await fleet.areSame(rows);
      expect(await fleet.messages('n1', 'omitted')).toBeGreaterThanOrEqual(1);
      await fleet.node('n1').put(`/Item/${rows}`, { name: 'small' });
      await fleet.areSame(rows);
      await fleet.areTold();
    });

    it('go on alone when the server is killed, and by the stream again when it is back', async () => {
      await server.kill();
      for (const name of NAMES) await write(name, 2);
      await server.start();
      await fleet.areTold();
      await fleet.areSame(rows);
    });

    it('lose nothing with the storage of the server', async () => {
      await server.kill();
      for (const name of NAMES) await write(name, 3);
      server.wipe();
      await server.start();
      await fleet.areTold();
      await fleet.areSame(rows);
      await fleet.untilByStream('n2', 5, async () => {
        await write('n1', 5);
        await fleet.areSame(rows);
      });
    });

    it('lose nothing when the stream is purged, or deleted', async () => {
      const writing = write('n1', 30);
      await withStream(({ manager, name }) => manager.streams.purge(name));
      await writing;
      await fleet.areSame(rows);
      const more = write('n3', 30);
      await withStream(({ manager, name }) => manager.streams.delete(name));
      await more;
      await fleet.areSame(rows);
      await fleet.areTold();
    });

    it('go on where they were when they come back', async () => {
      // A slow machine may ask peers first: then once more.
      await until(
        'a node that is told of all it missed by the stream alone',
        async () => {
          await write('n1', 1);
          await fleet.areSame(rows);
          await fleet.kill('n2');
          await write('n1', 10);
          await write('n3', 10);
          await fleet.start('n2', server.url);
          await fleet.areSame(rows);
          const { stream, peers } = await fleet.ways('n2');
          return stream >= 20 && peers === 0;
        },
        100_000,
      );
    });

    it('are sent by others what the stream does not hold any more', async () => {
      await fleet.areTold();
      await fleet.kill('n2');
      await write('n1', 10);
      await withStream(({ manager, name }) => manager.streams.purge(name));
      await write('n1', 3);
      await fleet.start('n2', server.url);
      await fleet.areSame(rows);
      expect((await fleet.ways('n2')).peers).toBeGreaterThanOrEqual(10);
      await fleet.areTold();
    });

    it('leave what strangers write there, and what comes twice or late', async () => {
      await fleet.areTold();
      await write('n1', 1);
      await fleet.areSame(rows);
      await withStream(async ({ manager, client, name }) => {
        // The server itself drops what it was given a short while ago.
        await manager.streams.update(name, { duplicate_window: nanos(100) });
        const { author } = await fleet.node('n1').operate({ operation: 'cluster_status' });
        const of = `millrace.${name.slice('MILLRACE_'.length)}.log.${author}.>`;
        const real = await manager.streams.getMessage(name, { last_by_subj: of });
        if (real === null) throw new Error('the stream is empty');
        const { subject, data } = real;
        const msgID = real.header.get('Nats-Msg-Id');
        const changed = Uint8Array.from(data, (byte, at) => (at === 60 ? byte ^ 1 : byte));
        const say = (to: string, bytes: Uint8Array | string, id: string) =>
          until('the server to take it', async () => {
            const { duplicate } = await client.publish(to, bytes, { msgID: id });
            return !duplicate;
          });
        await say(subject, data, msgID);
        await say(subject, changed, msgID);
        await say(`${subject}.elsewhere`, data, msgID);
        await say(subject, data, `${msgID}0`);
        await say(subject, 'hello', 'hello');
      });
      await until('all of it to be counted', async () => {
        const refused = await fleet.messages('n2', 'refused');
        return refused >= 4 && (await fleet.messages('n2', 'known')) >= 1;
      });
      await write('n3', 1);
      await fleet.areSame(rows);
    });
  },
);
