/**
 * What publishes and who is subscribed to, for the real-time scenarios: the node by each of its
 * protocols, the engine's own publish, and the brokers that Debian packages bring.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bench, startFixed } from '../harness/context.ts';
import {
  eventStream,
  mqtt,
  mqttConnect,
  nats,
  publishPacket,
  webSocket,
} from '../harness/live-receiver.ts';
import type { LiveServer } from '../harness/live-round.ts';
import { RawClient } from '../harness/raw-client.ts';
import { type Server, startServer } from '../harness/server.ts';
import { freePort, programPath } from './installed.ts';

const PATH = '/Note/live';
const TOPIC = 'Note/live';
const JSON_TYPE = 'content-type: application/json\r\n';

export interface Closing extends LiveServer {
  stop(): Promise<void>;
}

const PUTTERS = 16;

/**
 * Puts over as many connections as it takes to keep the rate. They are opened anew where the server
 * has closed them, as it does with those idle while thousands of subscribers come.
 */
async function putting(url: string, path = PATH) {
  const idle: RawClient[] = [];
  const back = (client: RawClient) => void (client.isOpen ? idle.push(client) : open());
  const open = () => void RawClient.connect(url).then(back, () => setTimeout(open, 100));
  idle.push(...(await Promise.all(Array.from({ length: PUTTERS }, () => RawClient.connect(url)))));
  const put = async (client: RawClient, json: string, at: string) => {
    const reply = await client.request('PUT', at, JSON_TYPE, json).catch(() => undefined);
    if (reply !== undefined && reply.status >= 400) throw new Error(`PUT ${at}: ${reply.head}`);
    back(client);
  };
  return (json: string, at = path): boolean => {
    let client = idle.shift();
    for (; client !== undefined && !client.isOpen; client = idle.shift()) open();
    if (client === undefined) return false;
    void put(client, json, at);
    return true;
  };
}

const staying = async () => undefined;

export async function nodeBy(bench: Bench, protocol: 'websocket' | 'sse'): Promise<Closing> {
  const node = await bench.millrace();
  const { host, port } = new URL(node.url);
  const greet = protocol === 'sse' ? eventStream : webSocket;
  const { pid } = node;
  const common = { name: `Millrace, ${protocol}`, pid, port: Number(port), stop: staying };
  return { ...common, greeting: () => greet(host, PATH), publish: await putting(node.url) };
}

/** A path of the node by WebSocket, its changes put. */
export async function nodeAt(bench: Bench, path: string): Promise<Closing> {
  const node = await nodeBy(bench, 'websocket');
  return { ...node, greeting: () => webSocket(`127.0.0.1:${node.port}`, path) };
}

export async function nodeByMqtt(bench: Bench): Promise<Closing> {
  const node = await bench.millrace();
  const port = Number(/"mqtt":"mqtt:\/\/[^:]*:(\d+)"/.exec(node.output())?.[1]);
  return mqttServer('Millrace, mqtt', node, port, staying);
}

async function mqttServer(
  name: string,
  { pid }: Pick<Server, 'pid'>,
  port: number,
  stop: () => Promise<void>,
): Promise<Closing> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => socket.destroy());
  socket.write(mqttConnect());
  await new Promise((resolve) => socket.once('data', resolve));
  const publish = (json: string) => socket.write(publishPacket(TOPIC, json)) || true;
  const end = async () => {
    socket.destroy();
    await stop();
  };
  return { name, pid, port, greeting: () => mqtt(TOPIC), publish, stop: end };
}

export async function barePublish(): Promise<Closing> {
  const bare = await startFixed('bare uWS publish', './bare-uws.ts', {});
  const { host, port } = new URL(bare.url);
  const { name, pid } = bare;
  const publish = await putting(bare.url);
  const greeting = () => webSocket(host, PATH);
  return { name, pid, port: Number(port), greeting, publish, stop: () => bare.stop() };
}

export async function mosquitto(): Promise<Closing | undefined> {
  const command = programPath('mosquitto');
  if (command === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mosquitto-'));
  const port = await freePort();
  const file = join(folder, 'mosquitto.conf');
  const settings = ['allow_anonymous true', `listener ${port} 127.0.0.1`, 'set_tcp_nodelay true'];
  writeFileSync(file, `${[...settings, 'max_connections -1'].join('\n')}\n`);
  const server = await startPort('mosquitto', command, ['-c', file], { port, folder });
  return mqttServer('mosquitto', server, port, () => server.stop());
}

export async function natsServer(): Promise<Closing | undefined> {
  const command = programPath('nats-server');
  if (command === undefined) return undefined;
  const port = await freePort();
  const args = ['-a', '127.0.0.1', '-p', String(port)];
  const server = await startPort('nats-server', command, args, { port });
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    if (bytes.includes('PING')) socket.write('PONG\r\n');
  });
  socket.write('CONNECT {"verbose":false}\r\n');
  const publish = (json: string) =>
    socket.write(`PUB live ${Buffer.byteLength(json)}\r\n${json}\r\n`) || true;
  const stop = async () => {
    socket.destroy();
    await server.stop();
  };
  const { name, pid } = server;
  return { name, pid, port, greeting: () => nats('live'), publish, stop };
}

/** Ready when its port takes connections. */
function startPort(
  name: string,
  command: string,
  args: readonly string[],
  { port, folder }: { readonly port: number; readonly folder?: string },
): Promise<Server> {
  const taken = () =>
    new Promise<string | undefined>((resolve) => {
      const probe = connect({ host: '127.0.0.1', port });
      probe.once('error', () => resolve(undefined));
      probe.once('connect', () => {
        probe.destroy();
        resolve(`tcp://127.0.0.1:${port}`);
      });
    });
  return startServer({ name, command, args, folder, readyUrl: taken });
}
