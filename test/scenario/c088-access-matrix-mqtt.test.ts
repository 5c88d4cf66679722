/**
 * The matrix of access over MQTT: roles, rows and askers are those of the one over HTTP, as users
 * who sign in with a password. Retained messages, live ones, records kept and taken away by
 * publishing, and messages that are not kept; what no role grants is refused or not told.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ASKERS, ROLES, ROWS, TABLES, tableType } from '../support/declared-access.ts';
import { connectMqtt, type TestClient } from '../support/mqtt-client.ts';
import { NaiveAsker, type Row } from '../support/naive-access.ts';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';

const PASSWORD = 'a long and quiet river';
const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
  'content-type': 'application/json',
};
/** Everybody may follow it: what is told of it comes after what was told before. */
const MARK = 'type Mark @table @export(public: [subscribe]) { id: ID @primaryKey at: Int }\n';
const byId = (rows: readonly Row[]) =>
  [...rows].sort((one, other) => (String(one.id) < String(other.id) ? -1 : 1));

describe.each([1, 2])('the matrix of access over MQTT with %s threads', (threads) => {
  let node: NodeProcess;
  let marks = 0;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql': [...TABLES.map(tableType), MARK].join('\n'),
        'roles.yaml': JSON.stringify(ROLES),
        'millrace.yaml': 'mqtt: { requireAuthentication: false }\n',
      },
      flags: ['--threads', String(threads)],
    });
    for (const [index, [, names, facts]] of ASKERS.entries()) {
      const user = { username: `user${index}`, password: PASSWORD };
      const told = { roles: names, attributes: facts };
      if (names.length > 0) await node.operate({ operation: 'add_user', ...user, ...told });
    }
    for (const table of TABLES) await send('PUT', `/${table}/`, ROWS);
    await mark();
  });
  afterAll(() => node?.dispose());

  async function send(method: string, target: string, body?: unknown): Promise<Response> {
    const init = { method, headers: AS_ADMIN };
    return node.fetch(target, body === undefined ? init : { ...init, body: JSON.stringify(body) });
  }
  async function mark(): Promise<void> {
    marks += 1;
    expect((await send('PUT', '/Mark/m', { at: marks })).ok).toBe(true);
  }
  const held = async (table: string, id: string): Promise<Row | undefined> => {
    const answer = await send('GET', `/${table}/${id}`);
    return answer.status === 200 ? ((await answer.json()) as Row) : undefined;
  };

  describe.each(ASKERS.map((asker, index) => [asker[0], index] as const))('to %s', (_, index) => {
    const [, names, facts] = ASKERS[index] ?? ['', [], {}];
    const asker = new NaiveAsker(ROLES, names, facts);
    const signIn = () =>
      connectMqtt(
        node.mqtt,
        names.length === 0 ? {} : { username: `user${index}`, password: PASSWORD },
      );
    const subscribe = async ({ client }: TestClient, filter: string): Promise<boolean> => {
      const granted = await client.subscribeAsync(filter, { qos: 1 }).catch(() => undefined);
      return granted?.every(({ qos }) => Number(qos) < 0x80) ?? false;
    };
    /** Records told until the mark came. */
    const toldBefore = async (peer: TestClient, table: string): Promise<Row[]> => {
      const isMark = ({ topic, payload }: { topic: string; payload: string }) =>
        topic === 'Mark/m' && payload.includes(`${marks}`);
      await expect.poll(() => peer.received.some(isMark), { timeout: 20_000 }).toBe(true);
      return peer.received
        .filter(({ topic }) => topic.startsWith(`${table}/`))
        .map(({ payload }) => JSON.parse(payload) as Row);
    };
    const seen = (table: string, rows: readonly Row[]) =>
      rows
        .filter((row) => asker.row(table, 'subscribe', row))
        .map((row) => asker.shown(table, 'subscribe', row));

    it('tells of records that are kept and of changes what is seen, and nothing else', async () => {
      for (const table of TABLES) {
        const peer = await signIn();
        const may = asker.grants(table, 'subscribe').length > 0;
        expect([table, await subscribe(peer, `${table}/#`)]).toEqual([table, may]);
        expect(await subscribe(peer, 'Mark/m')).toBe(true);
        expect(byId(await toldBefore(peer, table))).toEqual(byId(may ? seen(table, ROWS) : []));
        peer.received.length = 0;
        const changed = ROWS.map((row) => ({ ...row, title: `${row.title} again` }));
        await send('PUT', `/${table}/`, changed);
        await mark();
        const told = await toldBefore(peer, table);
        expect([table, byId(told)]).toEqual([table, byId(may ? seen(table, changed) : [])]);
        await send('PUT', `/${table}/`, ROWS);
        await mark();
        await peer.close();
      }
    });

    it('lets each record be followed alone, as its key is granted', async () => {
      const peer = await signIn();
      for (const table of TABLES) {
        for (const row of ROWS) {
          const may = asker.key(table, 'subscribe', String(row.id));
          const place = [table, row.id];
          expect([...place, await subscribe(peer, `${table}/${row.id}`)]).toEqual([...place, may]);
        }
      }
      await peer.close();
    });

    it('keeps and takes away what is granted, and passes on no other message', async () => {
      const peer = await signIn();
      const publish = (topic: string, payload: string, retain: boolean) =>
        peer.client.publishAsync(topic, payload, { qos: 1, retain }).then(
          () => true,
          () => false,
        );
      const fresh: readonly Row[] = [
        { id: 'news/new', desk: 'news', level: 1, title: 'N' },
        { id: 'new', desk: 'sport', level: 3, title: 'N' },
        { id: 'new2', desk: 'sport', level: 1, secret: 's', title: 'N' },
      ];
      for (const table of TABLES) {
        for (const row of fresh) {
          const { id, ...rest } = row;
          const may = asker.change(table, 'insert', undefined, row, Object.keys(rest));
          const done = await publish(`${table}/${id}`, JSON.stringify(rest), true);
          expect([table, id, done]).toEqual([table, id, may]);
          expect(await held(table, String(id))).toEqual(may ? row : undefined);
          await send('DELETE', `/${table}/${id}`);
        }
        for (const row of ROWS) {
          const id = String(row.id);
          await publish(`${table}/${id}`, '', true);
          const may = asker.row(table, 'delete', row);
          expect([table, id, await held(table, id)]).toEqual([table, id, may ? undefined : row]);
          if (may) await send('PUT', `/${table}/${id}`, row);
          // `publish` is granted to nobody here.
          expect([table, id, await publish(`${table}/${id}`, 'x', false)]).toEqual([
            table,
            id,
            false,
          ]);
        }
      }
      await peer.close();
    });
  });
});
