/**
 * Every limit that a client can reach, on every protocol where it means something, over the wire.
 * One table says how each is reached; a limit and protocol that the table leaves out need a reason,
 * so that a new protocol or limit cannot be forgotten.
 */
import { encode as cbor } from 'cbor-x';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { LIMIT_DEFAULTS } from '../../src/config/limits.ts';
import { limitsElsewhere } from '../support/limits-elsewhere.ts';
import {
  connectRush,
  MQTT_LIMITS,
  mqttCells,
  mqttCrowd,
  PASSWORD,
  publishOnce,
  rushOver,
  signedInAs,
  subscribeTwice,
  subscribeUnnamed,
} from '../support/mqtt-limits.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { QUERY_LIMITS, queryCells, sizeCells } from '../support/query-limits.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  name: String
  next: String
  after: Item @relationship(from: next)
}
`;

const LIMITS = {
  ...QUERY_LIMITS,
  urlBytesMax: '2KiB',
  headBytesMax: '3KiB',
  headerCountMax: 24,
  headerTimeoutSeconds: 2,
  bodyGraceSeconds: 1,
  requestBodyBytesMax: '64KiB',
  uploadBytesMax: '128KiB',
  jsonDepthMax: 8,
  jsonKeysMax: 50,
  connectionsPerAddressMax: 4,
  connectionsPerAddressSecondMax: 100,
  messageBytesMax: '16KiB',
  subscriptionsPerConnectionMax: 2,
  requestsPerAddressSecondMax: 20,
  requestsPerCredentialSecondMax: 20,
  requestsPerPrincipalSecondMax: 15,
  rateBurstSeconds: 1,
  subscriptionsPerPrincipalMax: 3,
  ...MQTT_LIMITS,
};
const ROLES = 'reader: { tables: { Item: { read: true, subscribe: true, publish: true } } }\n';
const basic = (name: string) => `Basic ${Buffer.from(`${name}:${PASSWORD}`).toString('base64')}`;

type HttpProtocol = 'rest' | 'websocket' | 'sse' | 'admin';
type Protocol = HttpProtocol | 'mqtt';
const HTTP: readonly HttpProtocol[] = ['rest', 'websocket', 'sse', 'admin'];
const PROTOCOLS: readonly Protocol[] = [...HTTP, 'mqtt'];

interface Cell {
  /** Reaches the limit and resolves with what shows it: statuses, or a code of the protocol. */
  reach(node: NodeProcess): Promise<unknown>;
  readonly shows: unknown;
}

const path: Record<HttpProtocol, string> = {
  rest: '/Item/1',
  websocket: '/live',
  sse: '/Item/',
  admin: '/',
};
const fieldsOf: Record<HttpProtocol, readonly string[]> = {
  rest: [],
  websocket: [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ],
  sse: ['Accept: text/event-stream'],
  admin: [],
};
const baseOf = (node: NodeProcess, protocol: HttpProtocol): string =>
  protocol === 'admin' ? node.admin : node.http;

/** The status of one request, whose head has these fields besides those of the protocol. */
async function statusOf(
  node: NodeProcess,
  protocol: HttpProtocol,
  query: string,
  more: readonly string[] = [],
): Promise<number> {
  const connection = new RawConnection(baseOf(node, protocol));
  const fields = [...fieldsOf[protocol], ...more];
  connection.send(`${headOf(`GET ${path[protocol]}${query}`, fields)}\r\n`);
  await until('an answer', () => connection.ended || connection.statuses.length > 0);
  connection.destroy();
  return connection.statuses[0] ?? 0;
}

const tooLongUrl = (protocol: HttpProtocol): Cell => ({
  reach: (node) => statusOf(node, protocol, `?${'x'.repeat(2_100)}`),
  shows: 414,
});
const tooManyFields = (protocol: HttpProtocol): Cell => ({
  reach: (node) =>
    statusOf(
      node,
      protocol,
      '',
      Array.from({ length: 30 }, (_, i) => `X-${i}: 1`),
    ),
  shows: 431,
});
const tooLargeHead = (protocol: HttpProtocol): Cell => ({
  reach: (node) => statusOf(node, protocol, '', [`X-Long: ${'y'.repeat(3_500)}`]),
  shows: 431,
});
const slowHead = (protocol: HttpProtocol): Cell => ({
  async reach(node) {
    const connection = new RawConnection(baseOf(node, protocol));
    connection.send(headOf(`GET ${path[protocol]}`, fieldsOf[protocol]));
    await until('the connection to be cut', () => connection.ended, 25_000);
    return connection.statuses.every((status) => status === 408);
  },
  shows: true,
});

async function put(
  node: NodeProcess,
  body: string | Uint8Array,
  type = 'application/json',
): Promise<unknown> {
  const response = await node.fetch('/Item/1', {
    method: 'PUT',
    body: typeof body === 'string' ? body : Buffer.from(body),
    headers: { 'content-type': type },
  });
  const { limit } = (await response.json()) as { limit?: string };
  return [response.status, limit];
}

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const wide = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, i]));

async function live(node: NodeProcess, messages: readonly string[]): Promise<string[]> {
  const socket = new WebSocket(`${node.ws}/live`);
  const heard: string[] = [];
  socket.on('message', (message) => heard.push(String(message)));
  socket.on('close', (code) => heard.push(`closed ${code}`));
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  for (const message of messages) socket.send(message);
  await until('a refusal', () => heard.some((text) => /error|closed/.test(text)));
  socket.terminate();
  return heard.filter((text) => /error|closed/.test(text));
}

/** More than an address may have, of connections that stay; the last ones are refused. */
async function crowd(node: NodeProcess, protocol: HttpProtocol, from: string): Promise<unknown> {
  const many = protocol === 'sse' && node.engine === 'uws' ? 45 : 8;
  const connections: RawConnection[] = [];
  for (let i = 0; i < many; i += 1) {
    const one = new RawConnection(baseOf(node, protocol), from);
    connections.push(one);
    one.send(`${headOf(`GET ${path[protocol]}`, fieldsOf[protocol])}\r\n`);
    await until('an answer', () => one.ended || one.statuses.length > 0);
  }
  for (const one of connections) one.destroy();
  return connections.at(-1)?.statuses[0];
}

/** On three connections at once, or a busy machine is slower than the rate that is allowed. */
async function rush(node: NodeProcess, protocol: HttpProtocol, fields: readonly string[]) {
  const from = fields.length === 0 ? '127.0.0.5' : undefined;
  const statuses: number[] = [];
  const one = async (): Promise<void> => {
    const connection = new RawConnection(baseOf(node, protocol), from);
    for (let i = 0; i < 40 && !connection.ended && !statuses.includes(429); i += 1) {
      const before = connection.statuses.length;
      connection.send(`${headOf('GET /Item/1', fields)}\r\n`);
      await until('an answer', () => connection.ended || connection.statuses.length > before);
      statuses.push(...connection.statuses.slice(before));
    }
    connection.destroy();
  };
  await Promise.all([one(), one(), one()]);
  return Math.max(...statuses);
}

const NO_HEAD = 'it opens with CONNECT; over WebSocket its upgrade is a request';
const onHttp = (cell: (protocol: HttpProtocol) => Cell) =>
  Object.fromEntries(HTTP.map((one) => [one, cell(one)]));

/** For a limit that only MQTT has a use for. */
const notOfHttp = Object.fromEntries(
  HTTP.map((one) => [one, 'a limit of MQTT; HTTP has its own of this kind']),
);
/** The same over WebSocket, and the refusal's words. */
async function liveTwice(node: NodeProcess): Promise<unknown> {
  const heard: string[] = [];
  const sockets = [0, 1].map(() => {
    const headers = { authorization: basic('bob') };
    const socket = new WebSocket(`${node.ws}/live`, { headers });
    socket.on('message', (message) => heard.push(String(message)));
    return socket;
  });
  const subscribe = JSON.stringify({ subscribe: '/Item/', omitCurrent: true });
  for (const socket of sockets) {
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(subscribe);
    socket.send(subscribe);
  }
  await until('a refusal', () => heard.some((text) => text.includes('error')));
  for (const socket of sockets) socket.terminate();
  return heard.join().includes('subscriptionsPerPrincipalMax');
}

/** Streams of one user until one is refused; its status. */
async function streamsOf(node: NodeProcess): Promise<unknown> {
  const leave = new AbortController();
  const headers = { accept: 'text/event-stream', authorization: basic('carol') };
  const statuses: number[] = [];
  for (let i = 0; i < 4; i += 1) {
    statuses.push((await node.fetch('/Item/', { headers, signal: leave.signal })).status);
  }
  leave.abort();
  return statuses;
}

const cells: Readonly<Record<string, Partial<Record<Protocol, Cell | string>>>> = {
  urlBytesMax: { ...onHttp(tooLongUrl), mqtt: NO_HEAD },
  headerCountMax: { ...onHttp(tooManyFields), mqtt: NO_HEAD },
  headBytesMax: { ...onHttp(tooLargeHead), mqtt: NO_HEAD },
  headerTimeoutSeconds: { ...onHttp(slowHead), mqtt: NO_HEAD },
  requestBodyBytesMax: {
    rest: {
      reach: (node) => put(node, JSON.stringify({ name: 'x'.repeat(70_000) })),
      shows: [413, 'requestBodyBytesMax'],
    },
    websocket: 'messages have a limit of their own: messageBytesMax',
    sse: 'a stream is opened by GET, which has no body',
    admin: {
      async reach(node) {
        const answer = node.operate({ operation: 'insert', name: 'x'.repeat(70_000) });
        return String(await answer.catch((error: unknown) => error)).includes('413');
      },
      shows: true,
    },
    mqtt: 'packets have a limit of their own: mqttPacketBytesMax',
  },
  bodyBytesPerSecondMin: {
    rest: {
      async reach(node) {
        const still = new RawConnection(node.http);
        const slow = new RawConnection(node.http);
        const body = JSON.stringify({ name: 'x'.repeat(56_000) });
        const fields = ['Content-Type: application/json', `Content-Length: ${body.length}`];
        for (const one of [still, slow]) one.send(`${headOf('PUT /Item/slow', fields)}\r\n{`);
        // Four times as fast as it must be, for longer than the grace and the engine's patience.
        let sent = 1;
        const sending = setInterval(() => {
          slow.send(body.slice(sent, sent + 2_000));
          sent += 2_000;
        }, 500);
        await until('the one to be cut', () => still.ended, 30_000);
        await until('the other to be answered', () => slow.statuses.length > 0, 30_000);
        clearInterval(sending);
        slow.destroy();
        return [still.statuses, slow.statuses];
      },
      shows: [[408], [201]],
    },
    websocket: 'a message is held within messageBytesMax, and a silent peer is pinged and dropped',
    sse: 'a stream is opened by GET, which has no body',
    admin: 'the same listener code as rest; its connections have a limit of their own',
    mqtt: 'a packet is whole before it is looked at: mqttPacketBytesMax, and the keep alive',
  },
  ...sizeCells,
  jsonDepthMax: {
    rest: {
      async reach(node) {
        const deep = nested(20);
        return [
          await put(node, JSON.stringify(deep)),
          await put(node, cbor(deep), 'application/cbor'),
          await put(node, pack(deep), 'application/msgpack'),
          await put(node, `${JSON.stringify(deep)}\n`, 'application/x-ndjson'),
        ];
      },
      shows: Array.from({ length: 4 }, () => [400, 'jsonDepthMax']),
    },
    websocket: {
      async reach(node) {
        const deep = `{"subscribe":${'['.repeat(70)}${']'.repeat(70)}}`;
        return (await live(node, [deep])).join().includes('jsonDepthMax');
      },
      shows: true,
    },
    sse: 'a stream is opened by GET, which has no body',
    admin: {
      async reach(node) {
        let deep: unknown = 1;
        for (let i = 0; i < 100; i += 1) deep = [deep];
        const answer = node.operate({ operation: 'insert', records: deep });
        return String(await answer.catch((error: unknown) => error)).includes('jsonDepthMax');
      },
      shows: true,
    },
    mqtt: { reach: (node) => publishOnce(node, nested(20)), shows: 0x99 },
  },
  jsonKeysMax: {
    rest: {
      async reach(node) {
        const csv = `${Object.keys(wide)}\n${Object.values(wide)}\n`;
        return [
          await put(node, JSON.stringify(wide)),
          await put(node, cbor(wide), 'application/cbor'),
          await put(node, pack(wide), 'application/msgpack'),
          await put(node, csv, 'text/csv'),
        ];
      },
      shows: Array.from({ length: 4 }, () => [400, 'jsonKeysMax']),
    },
    websocket: 'a message names a handful of fields and no records; its bytes are bounded',
    sse: 'a stream is opened by GET, which has no body',
    admin: 'an operation carries up to operationRecordsMax records, each checked by the schema',
    mqtt: { reach: (node) => publishOnce(node, wide), shows: 0x99 },
  },
  messageBytesMax: {
    rest: 'only WebSockets have messages',
    websocket: {
      async reach(node) {
        const heard = await live(node, [JSON.stringify({ ping: 'x'.repeat(20_000) })]);
        return ['closed 1009', 'closed 1006'].includes(heard[0] ?? '');
      },
      shows: true,
    },
    sse: 'the client says nothing after its request',
    admin: 'the admin port opens no WebSockets',
    mqtt: 'packets have a limit of their own: mqttPacketBytesMax',
  },
  subscriptionsPerConnectionMax: {
    rest: 'a request subscribes to nothing',
    websocket: {
      async reach(node) {
        const subscribe = JSON.stringify({ subscribe: '/Item/', omitCurrent: true });
        const heard = await live(node, [subscribe, subscribe, subscribe]);
        return heard.join().includes('SUBSCRIPTION_LIMIT');
      },
      shows: true,
    },
    sse: 'a stream is one subscription',
    admin: 'the admin port has no subscriptions',
    mqtt: 'a session has mqttSubscriptionsPerSessionMax',
  },
  connectionsPerAddressMax: {
    rest: {
      // uWS 20.30 hides connections which have nothing under way.
      reach: (node) =>
        node.engine === 'uws' ? Promise.resolve(429) : crowd(node, 'rest', '127.0.0.2'),
      shows: 429,
    },
    websocket: { reach: (node) => crowd(node, 'websocket', '127.0.0.3'), shows: 429 },
    sse: { reach: (node) => crowd(node, 'sse', '127.0.0.4'), shows: 429 },
    admin: 'the admin port has adminConnectionsMax, so that no crowd keeps an operator out',
    mqtt: { reach: mqttCrowd, shows: 'closed' },
  },
  requestsPerAddressSecondMax: {
    rest: { reach: (node) => rush(node, 'rest', []), shows: 429 },
    websocket: 'an upgrade is a request of the same listener',
    sse: 'a stream is a request of the same listener',
    admin: 'operators are not limited by rate; sign-ins are, by their failures',
    mqtt: { reach: (node) => rushOver(node, '127.0.0.7'), shows: 0x97 },
  },
  requestsPerCredentialSecondMax: {
    rest: { reach: (node) => rush(node, 'rest', ['X-Api-Key: abc']), shows: 429 },
    websocket: 'an upgrade is a request of the same listener',
    sse: 'a stream is a request of the same listener',
    admin: 'operators are not limited by rate; sign-ins are, by their failures',
    mqtt: { reach: connectRush, shows: true },
  },
  requestsPerPrincipalSecondMax: {
    rest: {
      reach: (node) => rush(node, 'rest', [`Authorization: ${basic('ann')}`]),
      shows: 429,
    },
    websocket: 'an upgrade is a request, and messages have limits of their own',
    sse: 'a stream is a request of the same listener',
    admin: 'operators are not limited by rate; sign-ins are, by their failures',
    mqtt: { reach: (node) => rushOver(node, undefined, signedInAs('dave')), shows: 0x97 },
  },
  subscriptionsPerPrincipalMax: {
    rest: 'a request subscribes to nothing',
    websocket: { reach: liveTwice, shows: true },
    sse: { reach: streamsOf, shows: [200, 200, 200, 429] },
    admin: 'the admin port has no subscriptions',
    mqtt: {
      reach: async (node) => [await subscribeTwice(node), await subscribeUnnamed(node)],
      shows: [
        [0, 0, 0, 0x97],
        [0, 0, 0, 0x97],
      ],
    },
  },
  ...queryCells,
  ...Object.fromEntries(
    Object.entries(mqttCells).map(([limit, cell]) => [limit, { ...notOfHttp, mqtt: cell }]),
  ),
};

describe.each(['uws', 'node'] as const)('limits on the %s engine', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const settings = JSON.stringify({ limits: LIMITS, mqtt: { requireAuthentication: false } });
    const files = { 'schema.graphql': SCHEMA, 'millrace.yaml': settings, 'roles.yaml': ROLES };
    node = await startNode({ files, env: { MILLRACE_HTTP_ENGINE: engine } });
    for (const username of ['ann', 'bob', 'carol', 'dave']) {
      const user = { username, password: PASSWORD, role: 'reader' };
      await node.operate({ operation: 'add_user', ...user });
    }
  });
  afterAll(() => node?.dispose());

  const all = Object.entries(cells).flatMap(([limit, row]) =>
    PROTOCOLS.map((protocol) => ({ limit, protocol, cell: row[protocol] })),
  );

  it('are said for every protocol: reached here, or with the reason why not', () => {
    expect(all.filter(({ cell }) => cell === undefined)).toEqual([]);
  });

  it('are all of the configuration: those that are not here are said to be of something else', () => {
    const here = Object.keys(cells);
    const elsewhere = Object.keys(limitsElsewhere);
    expect(here.filter((name) => elsewhere.includes(name))).toEqual([]);
    expect([...here, ...elsewhere].sort()).toEqual(Object.keys(LIMIT_DEFAULTS).sort());
  });

  const reached = all.filter(({ cell }) => typeof cell === 'object');
  // Those which wait for a time-out wait together.
  const isSlow = ({ limit }: { limit: string }) => /Timeout|PerSecondMin|ConnectMs/.test(limit);
  const slow = reached.filter(isSlow);
  const quick = reached.filter((one) => !isSlow(one));
  it.concurrent.each(slow)(
    '$limit cuts off on $protocol',
    { timeout: 40_000 },
    async ({ cell }) => {
      if (typeof cell === 'object') expect(await cell.reach(node)).toEqual(cell.shows);
    },
  );

  it.each(quick)('$limit refuses on $protocol', { timeout: 40_000 }, async ({ cell }) => {
    if (typeof cell !== 'object') return;
    expect(await cell.reach(node)).toEqual(cell.shows);
  });

  it('are counted by name when they refuse', async () => {
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    const counted = [...text.matchAll(/millrace_limits_hit_total\{limit="(\w+)"\} [1-9]/g)];
    const names = new Set(counted.map((match) => match[1]));
    // What the parser of uWS refuses by itself, no counter hears of.
    const unheard = engine === 'uws' ? ['headerTimeoutSeconds'] : [];
    const uncounted = Object.keys(cells).filter((name) => !names.has(name));
    expect(uncounted).toEqual(unheard);
  });
});
