/**
 * What the internet sends to an MQTT port: packets that are none, mutated sessions, floods nobody
 * reads the answers of. The node goes on serving, keeps its memory, and ends what is at fault.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt, type TestClient } from '../support/mqtt-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const GRANTED = 'subscribe: true, publish: true, insert: true, update: true';

let node: NodeProcess;
let control: TestClient;
beforeAll(async () => {
  node = await startNode({
    files: {
      'schema.graphql': 'type Topic @table @export(name: "*")\n',
      'roles.yaml': `anonymous: { tables: { Topic: { ${GRANTED} } } }\n`,
      'millrace.yaml':
        'mqtt: { requireAuthentication: false }\nlimits: { writeQueueAgeMsMax: 60s }\n',
    },
  });
  control = await connectMqtt(node.mqtt);
  await control.client.subscribeAsync('control', { qos: 1 });
});
afterAll(() => node.dispose());

const port = (): number => Number(new URL(node.mqtt).port);

/** Sends bytes; resolves with what was answered once the node has closed the connection. */
function answered(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = net.connect(port(), '127.0.0.1', () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks)));
  });
}

async function works(): Promise<void> {
  const before = control.received.length;
  await control.client.publishAsync('control', 'still there', { qos: 1 });
  await control.count(before + 1);
}

const LEVEL = { protocolVersion: 5 } as const;
const connect = generate(
  { cmd: 'connect', clientId: 'x', clean: true, keepalive: 60, ...LEVEL, protocolId: 'MQTT' },
  LEVEL,
);
const subscribe = generate(
  { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] },
  LEVEL,
);
const publish = generate(
  {
    ...{ cmd: 'publish', topic: 'a/b', payload: 'text', qos: 1, messageId: 2, dup: false },
    ...{ retain: true, properties: { contentType: 'text/plain', messageExpiryInterval: 9 } },
  },
  LEVEL,
);

describe('a node under MQTT abuse', () => {
  it.each([
    ['a packet before CONNECT', Buffer.from([0xc0, 0]), undefined],
    ['a length beyond what CONNECT may have', Buffer.from([0x10, 0xff, 0xff, 0x7f, 0]), undefined],
    ['a second CONNECT', Buffer.concat([connect, connect]), 0x82],
    ['a wildcard in a topic', Buffer.concat([connect, renamed('a/+')]), 0x90],
    ['NUL in a topic', Buffer.concat([connect, renamed('a\u0000b')]), 0x81],
    ['packet identifier 0', Buffer.concat([connect, Buffer.from([0x40, 2, 0, 0])]), 0x82],
    ['a PUBREC without an identifier', Buffer.concat([connect, Buffer.from([0x50, 0])]), 0x81],
    ['a PUBREL with half of one', Buffer.concat([connect, Buffer.from([0x62, 1, 7])]), 0x81],
    ['a SUBSCRIBE with half of one', Buffer.concat([connect, Buffer.from([0x82, 1, 7])]), 0x81],
    [
      'a PUBLISH that ends before its identifier',
      Buffer.concat([connect, Buffer.from([0x34, 4, 0, 1, 0x78, 1])]),
      0x81,
    ],
    ['a packet of a server', Buffer.concat([connect, Buffer.from([0x20, 3, 0, 0, 0])]), 0x82],
  ])('ends a connection for %s', async (_, bytes, reason) => {
    const answer = await answered(bytes);
    if (reason === undefined) expect(answer).toHaveLength(0);
    else expect([...answer.subarray(answer.lastIndexOf(0xe0))].slice(0, 3)[2]).toBe(reason);
    await works();
  });

  it('serves others while mutated sessions come in', { timeout: 60_000 }, async () => {
    const session = Buffer.concat([connect, subscribe, publish]);
    let seed = 20_261_128;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 20; round += 1) {
      const sockets = Array.from({ length: 40 }, () => {
        const bytes = Buffer.from(session);
        for (let change = 0; change <= random(4); change += 1) {
          bytes[random(bytes.length)] = random(256);
        }
        const socket = net.connect(port(), '127.0.0.1', () => {
          socket.end(bytes.subarray(0, 1 + random(bytes.length)));
        });
        socket.on('error', () => {});
        socket.resume();
        return new Promise<void>((resolve) => socket.on('close', () => resolve()));
      });
      await works();
      await Promise.all(sockets);
    }
    const open = () => node.metric('millrace_connections', { protocol: 'mqtt' });
    await until('the connections to end', async () => (await open()) === 1);
    expect(node.process.exitCode).toBeNull();
  });

  it('keeps its memory when the answers to a flood are not read', { timeout: 60_000 }, async () => {
    const socket = net.connect(port(), '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(connect);
    await works();
    const before = residentBytes();
    const pings = Buffer.alloc(256 * 1024, Buffer.from([0xc0, 0]));
    let taken = 0;
    for (let sent = 0; sent < 160; sent += 1) socket.write(pings, () => (taken += 1));
    // It is not read any more: what was written stays with the one who wrote it.
    let last = -1;
    await until('the flood to stand', async () => {
      const stands = taken === last;
      last = taken;
      await works();
      return stands;
    });
    expect(taken).toBeLessThan(160);
    expect(residentBytes() - before).toBeLessThan(96 * 1024 * 1024);
    socket.destroy();
    await works();
  });
});

function renamed(topic: string): Buffer {
  const body = Buffer.from(topic);
  const rest = Buffer.concat([
    Buffer.from([0, body.length]),
    body,
    Buffer.from([0]),
    Buffer.from('x'),
  ]);
  return Buffer.concat([Buffer.from([0x30, rest.length]), rest]);
}

function residentBytes(): number {
  const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
