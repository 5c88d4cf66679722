/**
 * Seeded hostility over MQTT beside a client that means well: whatever comes in, that client
 * hears of every message in its order, nobody is told what is kept from them, nothing is left of
 * those who are gone. `MILLRACE_FUZZ_SEED` and `MILLRACE_FUZZ_ROUNDS` play more of it.
 */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt, type TestClient } from '../support/mqtt-client.ts';
import { ATTACKS, hostileSession } from '../support/mqtt-hostile.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { type Random, seededRandom } from '../support/random.ts';

const SEED = Number(process.env.MILLRACE_FUZZ_SEED ?? 20_261_129);
const ROUNDS = Number(process.env.MILLRACE_FUZZ_ROUNDS ?? 12);
/** MQTT is served by the one thread that owns the store; the others hand changes to it. */
const THREADS = process.env.MILLRACE_FUZZ_ROUNDS === undefined ? ['2'] : ['1', '2'];
const SESSIONS = 30;
const PATIENCE_MS = 30_000;
/** UNSUBSCRIBE of 5.0 and what its answer has that no other does: all before it was read. */
const LAST = Buffer.from([0xa2, 6, 0xfe, 0xfe, 0, 0, 1, 0x78]);
const LAST_ANSWER = Buffer.from([0xfe, 0xfe]);
/** What nobody but the administrator may see. */
const HIDDEN = Buffer.from('only for the administrator');
const ALL = 'subscribe: true, publish: true, insert: true, update: true, delete: true';
const FILES = {
  'schema.graphql': `
type Topic @table @export(name: "*")
type Secret @table @export { id: ID @primaryKey text: String }
`,
  'roles.yaml': `anonymous: { tables: { Topic: { ${ALL} } } }\n`,
  'millrace.yaml': `
mqtt: { requireAuthentication: false }
limits: { writeQueueAgeMsMax: 60s }
`,
};

describe.each(THREADS)('hostile clients of MQTT, threads: %s', { timeout: 600_000 }, (threads) => {
  let node: NodeProcess;
  let control: TestClient;
  const leaked: string[] = [];
  let said = 0;
  beforeAll(async () => {
    node = await startNode({ files: FILES, flags: ['--threads', threads] });
    control = await connectMqtt(node.mqtt, { ...ADMIN, clientId: 'control' });
    await control.client.subscribeAsync('control/#', { qos: 1 });
  });
  afterAll(async () => {
    control?.client.end(true);
    await node?.dispose();
  });

  /** One hostile client, until it is told that all was read, is cut off, or has had enough. */
  function play(bytes: Buffer, patienceMs: number, leave: 'end' | 'reset'): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(Number(new URL(node.mqtt).port), '127.0.0.1', () => {
        socket.write(Buffer.concat([bytes, LAST]));
      });
      const go = () => (leave === 'end' ? socket.end() : socket.resetAndDestroy());
      const enough = setTimeout(go, patienceMs);
      let answers = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        answers = Buffer.concat([answers, chunk]);
        if (answers.includes(LAST_ANSWER)) go();
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        clearTimeout(enough);
        if (answers.includes(HIDDEN)) leaked.push(bytes.toString('hex'));
        resolve();
      });
    });
  }
  function playOne(random: Random): Promise<void> {
    const bytes = hostileSession(random);
    const cut = random(4) === 0 ? random(bytes.length + 1) : bytes.length;
    const leave = random(3) === 0 ? 'reset' : 'end';
    return play(bytes.subarray(0, cut), random(200), leave);
  }

  /** It publishes, and hears of all of it, in its order. */
  async function controlWorks(): Promise<void> {
    const began = said;
    const published: Promise<unknown>[] = [];
    for (let n = 0; n < 10; n += 1) {
      said += 1;
      const options = { qos: 1, retain: n === 9 } as const;
      published.push(control.client.publishAsync(`control/${n % 3}`, String(said), options));
      const text = `${HIDDEN.toString()} ${said}`;
      const secret = JSON.stringify({ text });
      published.push(control.client.publishAsync('Secret/kept', secret, { qos: 1, retain: true }));
    }
    await Promise.all(published);
    await control.count(said);
    const heard = control.received.map(({ payload }) => Number(payload)).slice(began);
    expect(heard).toEqual(Array.from({ length: 10 }, (_, n) => began + n + 1));
  }

  async function nothingIsLeft(): Promise<void> {
    const open = () => node.metric('millrace_connections', { protocol: 'mqtt' });
    await until('the connections to end', async () => (await open()) === 1, 60_000);
    expect(node.process.exitCode).toBeNull();
    expect(leaked).toEqual([]);
    expect(node.stderr()).not.toMatch(/unhandled|uncaught|TypeError|RangeError|ASSERTION/i);
  }

  it(`plays ${ROUNDS} rounds of sessions from seed ${SEED}`, async () => {
    const random = seededRandom(SEED);
    for (let round = 0; round < ROUNDS; round += 1) {
      const played = Array.from({ length: SESSIONS }, () => playOne(random));
      await controlWorks();
      await Promise.all(played);
    }
    await controlWorks();
    await nothingIsLeft();
  });

  it.each(Object.entries(ATTACKS))('bears %s', async (_, attack) => {
    const played = Array.from({ length: Math.max(4, ROUNDS / 4) }, (_, n) =>
      play(attack(n), PATIENCE_MS, n % 2 === 0 ? 'end' : 'reset'),
    );
    await controlWorks();
    await Promise.all(played);
    await controlWorks();
    await nothingIsLeft();
  });

  it('has forgotten their sessions and filters once they may be', async () => {
    const sessions = () => node.metric('millrace_mqtt_sessions');
    // Of clients of 3.1.1, and where a changed byte asked for more, some are to be kept for a day.
    await until('sessions to expire', async () => (await sessions()) <= 20 + ROUNDS, 60_000);
    await controlWorks();
    await nothingIsLeft();
  });
});
