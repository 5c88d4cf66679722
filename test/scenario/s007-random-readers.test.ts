/**
 * Seeded runs against real nodes: readers of every protocol that stall, drop and come back while
 * records change, on nodes of either engine, with room in the log and without. Every reader ends
 * with exactly what the table holds, no record's version goes back, and no message is missing
 * unless the reader was told so. `MILLRACE_LONG_TESTS=1` plays hundreds of them and on more nodes,
 * `MILLRACE_READER_SEEDS=500` so many, `MILLRACE_READER_FIRST=501` others,
 * `MILLRACE_READER_SEED=17` that one.
 */
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type LiveReader,
  MqttReader,
  SocketReader,
  StreamReader,
} from '../support/live-readers.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import type { PictureRow } from '../support/picture.ts';
import { type Random, seededRandom } from '../support/random.ts';
import { WireClient } from '../support/wire-client.ts';

const SEEDS_OF_EVERY_DAY = 18;
const isLong = process.env.MILLRACE_LONG_TESTS === '1';
const SEEDS = Number(process.env.MILLRACE_READER_SEEDS ?? (isLong ? 350 : SEEDS_OF_EVERY_DAY));
const FIRST = Number(process.env.MILLRACE_READER_FIRST ?? 1);
const ONLY = process.env.MILLRACE_READER_SEED;
const STEPS = 40;
const READERS = 5;
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
/** Runs that go on beside one another on a node, each in a table of its own. */
const LANES = 3;

/** Little is held of anything, so that readers are often told to begin anew. */
const TIGHT = `
store: { durability: process }
mqtt: { requireAuthentication: false }
limits:
  writeQueueAgeMsMax: 60s
  mqttConnectMsMax: 60s
  logEntriesMax: 120
  replayEntriesMax: 60
  conflatedRecordsMax: 3
  changeRingBytes: 1MiB
`;
const ROOMY = `
store: { durability: process }
mqtt: { requireAuthentication: false }
limits: { writeQueueAgeMsMax: 60s, mqttConnectMsMax: 60s }
`;

const schema = Array.from(
  { length: LANES },
  (_, lane) =>
    `type T${lane} @table @export(public: [read, insert, update, delete, subscribe, publish]) ` +
    '{ id: ID @primaryKey, n: Int, group: String @indexed, pad: String }\n',
).join('');

interface Ground {
  readonly node: NodeProcess;
  readonly publisher: MqttClient;
  readonly isTight: boolean;
}

let grounds: readonly Ground[] = [];

const NODES = [
  { yaml: ROOMY, engine: 'uws', threads: '2' },
  { yaml: TIGHT, engine: 'uws', threads: '1' },
  { yaml: ROOMY, engine: 'node', threads: '1' },
  { yaml: ROOMY, engine: 'uws', threads: '1' },
  { yaml: TIGHT, engine: 'uws', threads: '2' },
  { yaml: TIGHT, engine: 'node', threads: '1' },
  { yaml: TIGHT, engine: 'node', threads: '2' },
] as const;

beforeAll(async () => {
  const nodes = SEEDS > SEEDS_OF_EVERY_DAY ? NODES : NODES.slice(0, 3);
  const started = nodes.map(async ({ yaml, engine, threads }): Promise<Ground> => {
    const node = await startNode({
      files: { 'schema.graphql': schema, 'millrace.yaml': yaml },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    const publisher = await mqtt.connectAsync(node.mqtt, { protocolVersion: 5 });
    return { node, publisher, isTight: yaml === TIGHT };
  });
  grounds = await Promise.all(started);
}, 60_000);

afterAll(async () => {
  await Promise.all(
    grounds.map(async ({ node, publisher }) => {
      await publisher.endAsync(true);
      await node.dispose();
    }),
  );
});

const DELTA = { delta: 'merge-patch' };

type Kind = (node: NodeProcess, table: string, name: string) => LiveReader;

const KINDS: readonly Kind[] = [
  (node, table) => new SocketReader(node.ws, `/${table}/`),
  (node, table) => new SocketReader(node.ws, `/${table}/?group=x`),
  (node, table) => new SocketReader(node.ws, `/${table}/a`),
  (node, table) => new SocketReader(node.ws, `/${table}/`, { maxRate: 20 }),
  (node, table) => new SocketReader(node.ws, `/${table}/?group=y`, { maxRate: 50 }),
  (node, table) => new SocketReader(node.ws, `/${table}/`, DELTA),
  (node, table) => new SocketReader(node.ws, `/${table}/?group=x`, { ...DELTA, maxRate: 30 }),
  (node, table) => new SocketReader(node.ws, `/${table}/a`, DELTA),
  (node, table) => new StreamReader(node.http, `/${table}/`),
  (node, table) => new StreamReader(node.http, `/${table}/?group=x`),
  (node, table) => new StreamReader(node.http, `/${table}/b`),
  (node, table, name) => new MqttReader(node.mqtt, `${table}/#`, name),
  (node, table, name) => new MqttReader(`${node.ws}/`, `${table}/+`, name),
  (node, table, name) => new MqttReader(node.mqtt, `${table}/a`, name),
];

interface Playing {
  readonly reader: LiveReader;
  /** Messages sent before it began. */
  missed: number;
  state: 'reading' | 'stalled' | 'away';
}

class Run {
  readonly #seed: number;
  readonly #next: Random;
  readonly #ground: Ground;
  readonly #table: string;
  readonly #client: WireClient;
  readonly #players: Playing[] = [];
  /** Now and then rows are as large as it takes to fill what the kernel holds for a reader. */
  readonly #padBytes: number;
  #count = 0;
  #messages = 0;

  constructor(seed: number, ground: Ground, table: string) {
    this.#seed = seed;
    this.#next = seededRandom(seed);
    this.#ground = ground;
    this.#table = table;
    this.#client = new WireClient(ground.node.http);
    this.#padBytes = this.#next(4) === 0 ? 120_000 : 40;
    for (let at = 0; at < READERS; at += 1) {
      const kind = KINDS[this.#next(KINDS.length)] as Kind;
      const reader = kind(ground.node, table, `seed-${seed}-${at}`);
      this.#players.push({ reader, missed: 0, state: 'away' });
    }
  }

  async play(): Promise<void> {
    for (let step = 0; step < 4; step += 1) await this.#write();
    for (const player of this.#players) await this.#come(player);
    for (let step = 0; step < STEPS; step += 1) await this.#step();
    for (const player of this.#players) await this.#readOn(player);
    await this.#settle();
    // Nobody only happens to be right: what comes now reaches everyone too.
    for (const id of KEYS) await this.#put(id);
    await this.#settle();
    for (const { reader } of this.#players) reader.drop();
    for (const id of KEYS) await this.#client.delete(`/${this.#table}/${id}`);
    this.#client.close();
  }

  async #step(): Promise<void> {
    const player = this.#players[this.#next(READERS)] as Playing;
    const choice = this.#next(20);
    if (choice < 13) await this.#write();
    else if (choice < 15) this.#stall(player);
    else if (choice < 17) await this.#readOn(player);
    else if (choice === 17) player.reader.drop();
    if (choice === 17) player.state = 'away';
    if (choice === 18) await this.#publish();
    if (choice === 19) await this.#burst();
  }

  #stall(player: Playing): void {
    if (player.state !== 'reading') return;
    player.reader.stall();
    player.state = 'stalled';
  }

  async #readOn(player: Playing): Promise<void> {
    if (player.state === 'away' || player.reader.isLost) await this.#come(player);
    if (player.state === 'stalled') player.reader.resume();
    player.state = 'reading';
  }

  async #come(player: Playing): Promise<void> {
    const { reader } = player;
    const isNew = reader.picture.position === undefined;
    await reader.connect();
    player.state = 'reading';
    if (isNew) player.missed = this.#messages;
  }

  #row(id: string): object {
    this.#count += 1;
    const group = this.#next(2) === 0 ? 'x' : 'y';
    return { id, n: this.#count, group, pad: 'p'.repeat(this.#padBytes) };
  }

  async #put(id: string): Promise<void> {
    const { status, text } = await this.#client.put(`/${this.#table}/${id}`, this.#row(id));
    if (status >= 300) throw new Error(`put: ${status} ${text}`);
  }

  async #write(): Promise<void> {
    const id = KEYS[this.#next(KEYS.length)] as string;
    const kind = this.#next(8);
    if (kind === 0) await this.#client.delete(`/${this.#table}/${id}`);
    else if (kind === 1) await this.#client.patch(`/${this.#table}/${id}`, this.#row(id));
    else if (kind === 2)
      await this.#client.put(`/${this.#table}/`, [this.#row('a'), this.#row(id)]);
    else await this.#put(id);
  }

  /** Many changes of few records, as fast as they are taken. */
  async #burst(): Promise<void> {
    const clients = [0, 1, 2].map(() => new WireClient(this.#ground.node.http));
    const ids = ['a', 'b', 'c'];
    const work = clients.map(async (client, at) => {
      for (let n = 0; n < 12; n += 1) {
        await client.put(`/${this.#table}/${ids[at]}`, this.#row(ids[at] as string));
      }
      client.close();
    });
    await Promise.all(work);
  }

  async #publish(): Promise<void> {
    this.#messages += 1;
    const payload = JSON.stringify({ m: this.#messages });
    await this.#ground.publisher.publishAsync(`${this.#table}/a`, payload, { qos: 1 });
  }

  async #settle(): Promise<void> {
    const { text } = await this.#client.get(`/${this.#table}/?limit(1000)`);
    const rows = JSON.parse(text) as (PictureRow & { readonly id: string })[];
    for (const player of this.#players) {
      const wanted = new Map(
        rows.filter((row) => isFollowed(player, row)).map((row) => [row.id, row]),
      );
      try {
        await until(
          'the state of the table',
          async () => {
            if (player.reader.isLost) await this.#come(player);
            return isDone(player, wanted);
          },
          20_000,
        );
        await this.#checkMessages(player);
      } catch (cause) {
        throw new Error(this.#describe(player, wanted), { cause });
      }
    }
  }

  /** Each in its order and once; none is missing unless that was said. */
  async #checkMessages({ reader, missed }: Playing): Promise<void> {
    if (reader.name.endsWith('/b')) return;
    const { picture } = reader;
    const count = this.#messages - missed;
    await until('all messages', () => picture.resets > 0 || picture.messages.length >= count);
    const { messages, resets } = picture;
    expect(messages).toEqual([...new Set(messages)].sort((a, b) => a - b));
    if (!this.#ground.isTight) expect(resets).toBe(0);
    if (resets > 0) return;
    expect(messages).toEqual(Array.from({ length: count }, (_, n) => missed + n + 1));
  }

  #describe({ reader }: Playing, wanted: ReadonlyMap<string, PictureRow>): string {
    const short = (rows: ReadonlyMap<unknown, PictureRow>) =>
      JSON.stringify([...rows].map(([id, { n }]) => `${id}:${n}`).sort());
    const { rows, resets, messages } = reader.picture;
    return (
      `seed ${this.#seed}, ${this.#table} on ${this.#ground.node.engine}: ${reader.name} shows ` +
      `${short(rows)} instead of ${short(wanted)}; ${resets} resets, messages ${messages}; ` +
      `${reader.failure ?? ''}`
    );
  }
}

/** Whether the reader is to show the row. */
function isFollowed({ reader: { name } }: Playing, row: PictureRow): boolean {
  const [, group] = /group=(\w)/.exec(name) ?? [];
  const [, id] = /T\d\/(\w)$/.exec(name) ?? [];
  return group === undefined ? id === undefined || row.id === id : row.group === group;
}

function isDone({ reader }: Playing, wanted: ReadonlyMap<string, PictureRow>): boolean {
  if (reader.failure !== undefined) throw reader.failure;
  const { rows } = reader.picture;
  const same = ([id, row]: [string, PictureRow]) => {
    const shown = rows.get(id);
    return shown?.n === row.n && shown.group === row.group && shown.pad === row.pad;
  };
  return rows.size === wanted.size && [...wanted].every(same);
}

it(`every reader ends at the table's state, in ${SEEDS} runs [feed F1-F4, F6; MQTT R5, R6]`, async () => {
  const seeds =
    ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => at + FIRST) : [Number(ONLY)];
  const failures: unknown[] = [];
  const lane = async (ground: Ground, at: number, table: string) => {
    for (const seed of seeds) {
      if (seed % grounds.length !== at || failures.length > 0) continue;
      if (Math.floor(seed / grounds.length) % LANES !== Number(table.slice(1))) continue;
      await new Run(seed, ground, table).play().catch((error) => failures.push(error));
    }
  };
  const lanes = Array.from({ length: LANES }, (_, at) => `T${at}`);
  await Promise.all(grounds.flatMap((ground, at) => lanes.map((table) => lane(ground, at, table))));
  expect(failures).toEqual([]);
}, 3_600_000);
