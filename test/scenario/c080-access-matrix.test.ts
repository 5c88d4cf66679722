/**
 * The matrix of access: roles × tables × rows × attributes × verbs × ways in, generated from what
 * is declared here. What is expected is a naive reading of the roles (`naive-access.ts`); what is
 * compared with it are the answers of a real node. What no role grants is refused.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ASKERS,
  ATTRIBUTES,
  ROLES,
  ROWS,
  TABLES,
  tableType as type,
} from '../support/declared-access.ts';
import { NaiveAsker, type Row, type Verb } from '../support/naive-access.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';
import { JSON_BODY } from '../support/scenario-apps.ts';

const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};
const byId = (rows: readonly Row[]) =>
  [...rows].sort((one, other) => (String(one.id) < String(other.id) ? -1 : 1));

/** A chunk of a snapshot. */
interface Snapshot {
  readonly values: readonly Row[];
  readonly more?: boolean;
}
const isLast = ({ more }: Snapshot): boolean => more !== true;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

describe.each([
  ['uws', 1],
  ['node', 2],
])('the matrix of access over %s with %s threads', (engine, threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const files = {
      'schema.graphql': TABLES.map(type).join('\n'),
      'roles.yaml': JSON.stringify(ROLES),
    };
    const env = { MILLRACE_HTTP_ENGINE: engine };
    node = await startNode({ files, env, flags: ['--threads', String(threads)] });
    for (const table of TABLES) await restore(table);
  });
  afterAll(() => node.dispose());

  /** What the table holds is what it began with. */
  async function restore(table: string): Promise<void> {
    const answer = await send('admin', 'PUT', `/${table}/`, ROWS);
    expect(answer.status).toBe(200);
  }
  const headersOf = (whom: string) =>
    whom === 'admin' ? AS_ADMIN : { ...AS_ADMIN, 'millrace-impersonate': whom };
  async function send(whom: string, method: string, target: string, body?: unknown) {
    const response = await node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headersOf(whom) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return answerOf(response);
  }
  async function answerOf(response: Response): Promise<Answer> {
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }
  async function operate(whom: string, document: object): Promise<Answer> {
    const headers = { ...JSON_BODY, ...headersOf(whom) };
    const init = { method: 'POST', headers, body: JSON.stringify(document) };
    return answerOf(await fetch(`${node.admin}/`, init));
  }
  const held = async (table: string, id: string): Promise<Row | undefined> => {
    const answer = await send('admin', 'GET', `/${table}/${id}`);
    return answer.status === 200 ? (answer.body as Row) : undefined;
  };

  describe.each(ASKERS)('to %s', (whom, names, facts) => {
    const asker = new NaiveAsker(ROLES, names, facts);
    const refusal = whom === 'anonymous' ? 401 : 403;
    const seen = (table: string, verb: Verb = 'read') =>
      ROWS.filter((row) => asker.row(table, verb, row)).map((row) => asker.shown(table, verb, row));
    const mayAny = (table: string, verb: Verb) => asker.grants(table, verb).length > 0;

    it('shows each record, and each attribute of it, as the roles say', async () => {
      for (const table of TABLES) {
        for (const row of ROWS) {
          const answer = await send(whom, 'GET', `/${table}/${row.id}`);
          const isRefused = !asker.key(table, 'read', String(row.id));
          const isSeen = asker.row(table, 'read', row);
          const status = isRefused ? refusal : isSeen ? 200 : 404;
          expect([table, row.id, answer.status]).toEqual([table, row.id, status]);
          if (isSeen) expect(answer.body).toEqual(asker.shown(table, 'read', row));
          await Promise.all(ATTRIBUTES.map((name) => expectAttribute(table, row, name)));
        }
      }
    });

    async function expectAttribute(table: string, row: Row, name: string): Promise<void> {
      const answer = await send(whom, 'GET', `/${table}/${row.id}.${name}`);
      const isRefused =
        !asker.names(table, 'read', name) || !asker.key(table, 'read', String(row.id));
      const shown = asker.shown(table, 'read', row)[name];
      const isSeen = asker.row(table, 'read', row) && shown !== undefined;
      const status = isRefused ? refusal : isSeen ? 200 : 404;
      expect([table, row.id, name, answer.status]).toEqual([table, row.id, name, status]);
      if (isSeen && !isRefused) expect(answer.body).toBe(shown);
    }

    it('answers queries from what is seen, and refuses to look at the rest', async () => {
      for (const table of TABLES) {
        const all = await send(whom, 'GET', `/${table}/`);
        expect([table, all.status]).toEqual([table, mayAny(table, 'read') ? 200 : refusal]);
        if (all.status === 200) expect(byId(all.body as Row[])).toEqual(byId(seen(table)));
        for (const name of ATTRIBUTES) await expectQueries(table, name);
      }
    });

    async function expectQueries(table: string, name: string): Promise<void> {
      const mayName = asker.names(table, 'read', name);
      const shows = (row: Row) => asker.shown(table, 'read', row)[name] !== undefined;
      const rows = ROWS.filter((row) => asker.row(table, 'read', row));
      for (const value of new Set(ROWS.map((row) => row[name]))) {
        const answer = await send(whom, 'GET', `/${table}/?${name}=${value}&select(id,)`);
        expect([table, name, answer.status]).toEqual([table, name, mayName ? 200 : refusal]);
        if (!mayName) continue;
        const matching = rows.filter((row) => row[name] === value && shows(row));
        expect(byId(answer.body as Row[])).toEqual(byId(matching.map(({ id }) => ({ id }) as Row)));
      }
      const sorted = await send(whom, 'GET', `/${table}/?sort(${name})&select(id,)`);
      expect(sorted.status).toBe(mayName ? 200 : refusal);
      const selected = await send(whom, 'GET', `/${table}/?select(id,${name})`);
      expect(selected.status).toBe(mayName ? 200 : refusal);
      if (!mayName) return;
      expect((sorted.body as Row[]).length).toBe(rows.filter(shows).length);
      const parts = rows.map((row) => ({
        id: row.id,
        ...(shows(row) && { [name]: row[name] }),
      })) as Row[];
      expect(byId(selected.body as Row[])).toEqual(byId(parts));
    }

    it('delivers to subscribers what is seen', async () => {
      for (const table of TABLES) {
        const client = new SocketClient(`${node.ws}/${table}/`, headersOf(whom));
        const told = () => client.events as unknown as readonly Snapshot[];
        const isOpen = () => told().some(isLast) || client.refusedWith !== undefined;
        await until('an answer', isOpen);
        client.terminate();
        const may = mayAny(table, 'subscribe');
        expect([table, client.refusedWith]).toEqual([table, may ? undefined : refusal]);
        if (!may) continue;
        expect(byId(told().flatMap(({ values }) => values))).toEqual(
          byId(seen(table, 'subscribe')),
        );
        await expectStream(table);
      }
    });

    /** The first event of an event stream is the same. */
    async function expectStream(table: string): Promise<void> {
      const leave = new AbortController();
      const headers = { ...headersOf(whom), accept: 'text/event-stream' };
      const response = await node.fetch(`/${table}/`, { headers, signal: leave.signal });
      expect(response.status).toBe(200);
      let text = '';
      const told = () =>
        [...text.matchAll(/^data: (.*)\n\n/gm)].map(
          ([, json]) => JSON.parse(json ?? '') as Snapshot,
        );
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        if (told().some(isLast)) break;
      }
      leave.abort();
      expect(byId(told().flatMap(({ values }) => values))).toEqual(byId(seen(table, 'subscribe')));
    }

    it('changes records as the roles say, one by one and in lists', async () => {
      for (const table of TABLES) {
        for (const row of ROWS) {
          for (const patch of [
            { title: 'new' },
            { secret: 'new' },
            { desk: 'sport' },
            { level: 9 },
          ]) {
            const after = { ...row, ...patch } as Row;
            const isSame = JSON.stringify(after) === JSON.stringify(row);
            const named = Object.keys(patch);
            const may = asker.change(table, 'update', row, after, named);
            // Saying what is read there already changes nothing.
            const mayRepeat = isSame && asker.change(table, 'update', row, row, []);
            await expectChange(table, row, patch, may || mayRepeat, after);
          }
        }
      }
    });

    async function expectChange(
      table: string,
      row: Row,
      patch: object,
      may: boolean,
      after: Row,
    ): Promise<void> {
      const id = String(row.id);
      const place = [table, id, JSON.stringify(patch)];
      const single = await send(whom, 'PATCH', `/${table}/${id}`, patch);
      expect([...place, single.status]).toEqual([...place, may ? 204 : refusal]);
      expect(await held(table, id)).toEqual(may ? after : row);
      if (may) await send('admin', 'PUT', `/${table}/${id}`, row);
      const list = await send(whom, 'PATCH', `/${table}/`, [{ id, ...patch }]);
      expect([...place, list.status]).toEqual([...place, may ? 200 : refusal]);
      if (may) await send('admin', 'PUT', `/${table}/${id}`, row);
      expect(await held(table, id)).toEqual(row);
      await expectStreamed(table, row, patch, may, after);
      await expectOperated(table, row, patch, may, after);
    }

    async function expectStreamed(
      table: string,
      row: Row,
      patch: object,
      may: boolean,
      after: Row,
    ): Promise<void> {
      const streamed = await node.fetch(`/${table}/?onError=continue`, {
        method: 'PATCH',
        headers: { ...headersOf(whom), 'content-type': 'application/x-ndjson' },
        body: JSON.stringify({ id: row.id, ...patch }),
      });
      const told = (await streamed.json()) as { written?: number };
      expect([table, row.id, told.written ?? 0]).toEqual([table, row.id, may ? 1 : 0]);
      expect(await held(table, String(row.id))).toEqual(may ? after : row);
      if (may) await send('admin', 'PUT', `/${table}/${row.id}`, row);
    }

    async function expectOperated(
      table: string,
      row: Row,
      patch: object,
      may: boolean,
      after: Row,
    ): Promise<void> {
      const isListed = names.some((name) => ROLES[name]?.operations?.includes('update'));
      // An update is of what is there, and to somebody who does not see it, it is not.
      const isDone = may && isListed && asker.row(table, 'read', row);
      const records = [{ id: row.id, ...patch }];
      const answer = await operate(whom, { operation: 'update', table, records });
      const done = (answer.body as { update_hashes?: string[] }).update_hashes ?? [];
      expect([table, row.id, done.length]).toEqual([table, row.id, isDone ? 1 : 0]);
      expect(await held(table, String(row.id))).toEqual(isDone ? after : row);
      if (isDone) await send('admin', 'PUT', `/${table}/${row.id}`, row);
    }

    it('makes and deletes records as the roles say', async () => {
      const fresh: readonly Row[] = [
        { id: 'news/new', desk: 'news', level: 1, title: 'N' },
        { id: 'new', desk: 'sport', level: 3, title: 'N' },
        { id: 'new2', desk: 'sport', level: 1, secret: 's', title: 'N' },
      ];
      for (const table of TABLES) {
        for (const row of fresh) {
          const { id, ...rest } = row;
          const may = asker.change(table, 'insert', undefined, row, Object.keys(rest));
          const put = await send(whom, 'PUT', `/${table}/${id}`, rest);
          expect([table, id, put.status]).toEqual([table, id, may ? 201 : refusal]);
          await send('admin', 'DELETE', `/${table}/${id}`);
          const post = await send(whom, 'POST', `/${table}/`, row);
          expect([table, id, post.status]).toEqual([table, id, may ? 201 : refusal]);
          await send('admin', 'DELETE', `/${table}/${id}`);
        }
        for (const row of ROWS) await expectDelete(table, row);
      }
    });

    async function expectDelete(table: string, row: Row): Promise<void> {
      const may = asker.row(table, 'delete', row);
      const isSeen = asker.row(table, 'read', row);
      const isRefused = !mayAny(table, 'delete') || isSeen;
      const answer = await send(whom, 'DELETE', `/${table}/${row.id}`);
      const status = may ? 204 : isRefused ? refusal : 404;
      expect([table, row.id, answer.status]).toEqual([table, row.id, status]);
      expect(await held(table, String(row.id))).toEqual(may ? undefined : row);
      if (may) await send('admin', 'PUT', `/${table}/${row.id}`, row);
    }

    it('runs the operations that are listed, within the same grants', async () => {
      const listed = names.flatMap((name) => ROLES[name]?.operations ?? []);
      for (const table of TABLES) {
        const found = await operate(whom, {
          ...{ operation: 'search_by_value', table, search_attribute: 'id', search_value: '*' },
        });
        const mayRun = listed.includes('search_by_value');
        const isAllowed = mayRun && mayAny(table, 'read');
        expect([table, found.status]).toEqual([table, isAllowed ? 200 : mayRun ? 403 : refusal]);
        if (isAllowed) expect(byId(found.body as Row[])).toEqual(byId(seen(table)));
        const ids = ROWS.map(({ id }) => id);
        const byKey = await operate(whom, { operation: 'search_by_id', table, ids });
        expect(byKey.status).toBe(found.status);
        if (isAllowed) expect(byId(byKey.body as Row[])).toEqual(byId(seen(table)));
      }
      const other = await operate(whom, { operation: 'list_users' });
      expect(other.status).toBe(refusal);
    });
  });
});
