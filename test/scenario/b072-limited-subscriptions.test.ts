/**
 * Subscriptions of roles that are limited to keys, rows or attributes: what is delivered is what a
 * read would show at that moment, and of the rest not even a key is told. A change of the roles
 * ends what was judged by the old ones.
 */
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient, StreamClient } from '../support/push-node.ts';

const SCHEMA = `
type Story @table @export {
  id: ID @primaryKey
  desk: String @indexed
  title: String @indexed
  secret: String
}`;
const ROLES = `
anonymous:
  tables:
    Story:
      read: true
      subscribe: true
      filter: "desk=open"
      attributes: { secret: { read: false } }
editor:
  tables:
    Story:
      read: true
      subscribe: true
      filter: "desk=\${user.desk}"
      attributes: { secret: { read: false } }
keyed:
  tables:
    Story: { read: true, subscribe: true, keys: ["news/#"] }
`;
const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};
const as = (whom: string) => ({ ...AS_ADMIN, 'millrace-impersonate': whom });
const SPORT = as('role=editor&desk=sport');

const openStream = (url: string): Promise<StreamClient> =>
  new Promise((resolve, reject) => {
    get(url, { headers: { accept: 'text/event-stream' } }, (response) =>
      resolve(new StreamClient(response)),
    ).on('error', reject);
  });

interface Told {
  readonly type: string;
  readonly id?: string | null;
  readonly ids?: readonly string[];
  readonly value?: Readonly<Record<string, unknown>>;
  readonly position: string;
  readonly code?: string;
}

describe.each([
  ['uws', 1],
  ['node', 1],
  ['uws', 2],
])('limited subscriptions over %s with %s threads', (engine, threads) => {
  let node: NodeProcess;
  const open: { terminate(): void }[] = [];
  beforeAll(async () => {
    const env = { MILLRACE_HTTP_ENGINE: engine };
    const files = { 'schema.graphql': SCHEMA, 'roles.yaml': ROLES };
    node = await startNode({ files, env, flags: ['--threads', String(threads)] });
  });
  afterAll(async () => {
    for (const client of open) client.terminate();
    await node.dispose();
  });

  const put = async (id: string, story: object) => {
    const answer = await node.put(`/Story/${id}`, story, AS_ADMIN);
    expect(answer.ok).toBe(true);
  };
  const remove = (id: string) =>
    node.fetch(`/Story/${id}`, { method: 'DELETE', headers: AS_ADMIN });
  async function subscribe(target: string, headers: Record<string, string>) {
    const client = await new SocketClient(`${node.ws}${target}`, headers).opened();
    open.push(client);
    await until('the first event', () => client.events.length > 0);
    return client;
  }
  /** What was told up to the row that `put(end)` makes. */
  async function toldUntil(client: SocketClient, end: string): Promise<readonly Told[]> {
    const events = client.events as unknown as readonly Told[];
    await until(end, () => events.some(({ id }) => id === end));
    return events;
  }
  const short = ({ type, id, ids }: Told) => `${type} ${ids?.join() ?? id}`;

  it('tells of rows as long as they are seen, and shows of them what is seen', async () => {
    await put('a1', { desk: 'sport', title: '1', secret: 's' });
    await put('hidden', { desk: 'news', title: 'h' });
    const client = await subscribe('/Story/', SPORT);
    await put('hidden', { desk: 'news', title: 'h2' });
    await remove('hidden');
    await put('a2', { desk: 'sport', title: '2', secret: 's' });
    await put('a2', { desk: 'sport', title: '3', secret: 't' });
    await put('a1', { desk: 'news', title: '1' });
    await put('a1', { desk: 'news', title: 'away' });
    await put('a1', { desk: 'sport', title: 'back', secret: 'u' });
    await remove('a1');
    await put('end', { desk: 'sport' });
    const told = await toldUntil(client, 'end');
    expect(told.map(short)).toEqual([
      'snapshot a1',
      'enter a2',
      'put a2',
      'leave a1',
      'enter a1',
      'delete a1',
      'enter end',
    ]);
    expect(JSON.stringify(told)).not.toContain('secret');
    expect(told[2]?.value).toEqual({ id: 'a2', desk: 'sport', title: '3' });
    for (const id of ['a2', 'end']) await remove(id);
  });

  it('tells of one record while it is seen, and as of none while it is not', async () => {
    await put('r', { desk: 'news', title: 'x' });
    const client = await new SocketClient(`${node.ws}/live`, SPORT).opened();
    open.push(client);
    client.say({ subscribe: '/Story/r', as: 'r' });
    await until('what there is', () => client.events.length > 0);
    await put('r', { desk: 'news', title: 'y' });
    await put('r', { desk: 'sport', title: 'z', secret: 's' });
    await put('r', { desk: 'news', title: 'away' });
    await put('r', { desk: 'news', title: 'far' });
    await remove('r');
    client.say({ subscribe: '/Story/end2', as: 'end' });
    await put('end2', { desk: 'sport' });
    const told = (await toldUntil(client, 'end2')).filter(({ id }) => id === 'r');
    // As of a record that is not there; what happens to it unseen is not told.
    expect(told.map(short)).toEqual(['delete r', 'enter r', 'leave r']);
    expect(told[1]?.value).toEqual({ id: 'r', desk: 'sport', title: 'z' });
  });

  it('resumes without a word of rows that were never seen', async () => {
    await put('b1', { desk: 'sport', title: 'x' });
    const first = await subscribe('/Story/', SPORT);
    const { position } = (first.events as unknown as Told[])[0] as Told;
    first.terminate();
    for (let n = 0; n < 40; n += 1) await put(`unseen${n}`, { desk: 'news' });
    await put('b1', { desk: 'news' });
    await put('b2', { desk: 'sport' });
    const query = `?lastEventId=${encodeURIComponent(position)}`;
    const again = await subscribe(`/Story/${query}`, SPORT);
    const events = again.events as unknown as readonly Told[];
    await until('b2', () => events.some(({ id, ids }) => id === 'b2' || ids?.includes('b2')));
    expect(JSON.stringify(events)).not.toContain('unseen');
    // What was seen and is not any more is told, by its leaving or by the present state.
    const isToldOf = events.some(
      ({ type, id }) => type === 'reset' || (type === 'leave' && id === 'b1'),
    );
    expect(isToldOf).toBe(true);
  });

  it('shows anonymous clients their rows over an event stream', async () => {
    await put('open1', { desk: 'open', title: 'o' });
    const stream = await openStream(`${node.http}/Story/`);
    open.push(stream);
    await until('a snapshot', () => stream.events.length > 0);
    await put('closed1', { desk: 'sport', title: 'c' });
    await put('open1', { desk: 'open', title: 'p' });
    await until('the change', () => stream.events.some(({ event }) => event === 'put'));
    expect(stream.text).not.toContain('closed1');
  });

  it('refuses conditions on what is not read, and follows the keys that are covered', async () => {
    const client = new SocketClient(`${node.ws}/Story/?secret=s`, SPORT);
    open.push(client);
    await until('the refusal', () => client.refusedWith !== undefined);
    expect(client.refusedWith).toBe(403);
    const keyed = await subscribe('/Story/news/1', as('role=keyed'));
    await put('news/1', { desk: 'sport', title: 'n' });
    const told = await toldUntil(keyed, 'news/1');
    expect(told.at(-1)).toMatchObject({ id: 'news/1' });
  });

  it('ends what was judged by roles that have changed', async () => {
    const client = await subscribe('/Story/', SPORT);
    const narrower = ROLES.replace(/desk=\$\{.*\}/, 'desk=none');
    writeFileSync(path.join(node.folder, 'roles.yaml'), narrower);
    node.process.kill('SIGHUP');
    await until('the end', () => client.closeCode !== undefined);
    const later = await node.fetch('/Story/', { headers: SPORT });
    expect(await later.text()).not.toContain('sport');
    expect(client.closeCode).toBeGreaterThanOrEqual(4_000);
  });
});
