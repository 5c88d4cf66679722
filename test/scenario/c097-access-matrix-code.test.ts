/**
 * The matrix of access beyond plain tables: classes that stand in front of a table and override
 * some of its methods, whole tables in and out, operations on records, and `/live`. Roles, rows and
 * askers are those of the other matrices. What a class overrides it answers for, with whole records
 * before it: so a grant that is limited to rows, keys or attributes covers none of that.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ASKERS, ATTRIBUTES, ROLES, ROWS, TABLES, tableType } from '../support/declared-access.ts';
import { Live } from '../support/live-client.ts';
import { NaiveAsker, type Row, type Verb } from '../support/naive-access.ts';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';
import { JSON_BODY } from '../support/scenario-apps.ts';

/** Tables that classes stand in front of; their grants are those of `Story`. */
const CODE = ['Wrapped', 'Bound', 'Reads'] as const;
const RESOURCES = `
import { Resource, tables } from 'millrace';

export class Wrapped extends tables.Wrapped {
  static loadAsInstance = false;
  static get(target, context) { return super.get(target, context); }
  static put(target, body, context) { return super.put(target, body, context); }
  static patch(target, body, context) { return super.patch(target, body, context); }
  static post(target, body, context) { return super.post(target, body, context); }
  static delete(target, context) { return super.delete(target, context); }
}
export class Bound extends tables.Bound {
  get(query) { return super.get(query); }
  put(body) { return super.put(body); }
  patch(body) { return super.patch(body); }
  post(body) { return super.post(body); }
  delete() { return super.delete(); }
}
export class Reads extends tables.Reads {
  get(query) { return super.get(query); }
}
export class Alone extends Resource {
  static get() { return { seen: true }; }
  static post() { return { seen: true }; }
}
`;
const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};
const FRESH: Row = { id: 'new', desk: 'sport', level: 1, title: 'N' };
const byId = (rows: readonly Row[]) =>
  [...rows].sort((one, other) => (String(one.id) < String(other.id) ? -1 : 1));
const DECLARED = Object.fromEntries(
  Object.entries(ROLES).map(([name, role]) => {
    const { Story } = role.tables;
    const same = Story === undefined ? {} : Object.fromEntries(CODE.map((each) => [each, Story]));
    return [name, { ...role, tables: { ...role.tables, ...same } }];
  }),
);

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Who asks does not know of engines: the second has some of them. */
const SOME = ['anonymous', 'role=whole', 'role=desk&desk=sport', 'role=keyed,listed'];

describe.each([
  ['uws', 2, ASKERS],
  ['node', 1, ASKERS.filter(([whom]) => SOME.includes(whom))],
] as const)('the matrix of access through code over %s with %s threads', (...parts) => {
  const [engine, threads, askers] = parts;
  let node: NodeProcess;
  beforeAll(async () => {
    const roles = Object.entries(DECLARED).map(([name, role]) => {
      const { operations, ...rest } = role;
      const more = ['upsert', 'search_by_conditions', 'search_by_hash', 'describe_all'];
      return [
        name,
        operations === undefined ? rest : { operations: [...operations, ...more], ...rest },
      ];
    });
    node = await startNode({
      files: {
        'schema.graphql': [...TABLES, ...CODE].map(tableType).join('\n'),
        'roles.yaml': JSON.stringify(Object.fromEntries(roles)),
        'resources.js': RESOURCES,
      },
      flags: ['--threads', String(threads)],
      env: { MILLRACE_HTTP_ENGINE: engine, MILLRACE_STORE_DURABILITY: 'process' },
    });
    for (const table of [...TABLES, ...CODE]) await restore(table);
  });
  afterAll(() => node?.dispose());

  const headersOf = (whom: string) =>
    whom === 'admin' ? AS_ADMIN : { ...AS_ADMIN, 'millrace-impersonate': whom };
  async function send(
    whom: string,
    method: string,
    target: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headersOf(whom), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return answerOf(response);
  }
  async function answerOf(response: Response): Promise<Answer> {
    const text = await response.text();
    const isJson = /^application\/json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson && text !== '' ? JSON.parse(text) : text };
  }
  async function operate(whom: string, document: object): Promise<Answer> {
    const init = { method: 'POST', headers: { ...JSON_BODY, ...headersOf(whom) } };
    return answerOf(await fetch(`${node.admin}/`, { ...init, body: JSON.stringify(document) }));
  }
  /** By an operation: no class stands in front of it. */
  async function rowsOf(table: string): Promise<Row[]> {
    const all = { search_attribute: 'id', search_value: '*' };
    const found = await operate('admin', { operation: 'search_by_value', table, ...all });
    expect(found.status).toBe(200);
    return byId(found.body as Row[]);
  }
  async function restore(table: string): Promise<void> {
    await operate('admin', { operation: 'delete', table, ids: [FRESH.id] });
    const done = await operate('admin', { operation: 'upsert', table, records: ROWS });
    expect(done.status).toBe(200);
  }

  describe.each(askers)('to %s', (whom, names, facts) => {
    const asker = new NaiveAsker(DECLARED, names, facts);
    const refusal = whom === 'anonymous' ? 401 : 403;
    /** Whether some grant is of the whole table. */
    const isWhole = (table: string, verb: Verb): boolean =>
      asker
        .grants(table, verb)
        .some(
          ({ filter, keys, deny, attributes }) =>
            filter === undefined &&
            keys === undefined &&
            deny?.[verb] === undefined &&
            (attributes === undefined || verb === 'delete'),
        );
    const seen = (table: string, verb: Verb = 'read') =>
      ROWS.filter((row) => asker.row(table, verb, row)).map((row) => asker.shown(table, verb, row));

    it('reads through what a class overrides only where the whole table may be read', async () => {
      for (const table of CODE) {
        const status = isWhole(table, 'read') ? 200 : refusal;
        const ids = ROWS.slice(1, 3).map(({ id }) => id);
        const queries = ['', '?desk=news', '?select(id,secret)', '?sort(level)', '?count()'];
        const asked = [...ids, ...queries].map(async (target) => {
          const answer = await send(whom, 'GET', `/${table}/${target}`);
          expect([table, target, answer.status]).toEqual([table, target, status]);
        });
        await Promise.all(asked);
        const head = await node.fetch(`/${table}/else`, {
          ...{ method: 'HEAD', headers: headersOf(whom) },
        });
        expect([table, head.status]).toEqual([table, status]);
      }
      expect((await send(whom, 'GET', '/Alone')).status).toBe(refusal);
      expect((await send(whom, 'POST', '/Alone', {})).status).toBe(refusal);
    });

    it('writes through what a class overrides only where the whole table may be', async () => {
      const mayPut = (table: string) => isWhole(table, 'insert') && isWhole(table, 'update');
      for (const table of ['Wrapped', 'Bound']) {
        const attempts: readonly [string, string, unknown, boolean][] = [
          ['PUT', `/${table}/new`, { title: 'N' }, mayPut(table)],
          ['PUT', `/${table}/else`, { title: 'N' }, mayPut(table)],
          ['PATCH', `/${table}/else`, { title: 'N' }, mayPut(table)],
          ['POST', `/${table}/`, FRESH, isWhole(table, 'insert')],
          ['DELETE', `/${table}/else`, undefined, isWhole(table, 'delete')],
        ];
        for (const [method, target, body, may] of attempts) {
          const { status } = await send(whom, method, target, body);
          expect([method, target, status < 300]).toEqual([method, target, may]);
          if (!may) expect([method, target, status]).toEqual([method, target, refusal]);
          else await restore(table);
        }
        expect(await rowsOf(table)).toEqual(byId(ROWS));
      }
    });

    it('leaves to the table, row by row, what a class does not override', async () => {
      const table = 'Reads';
      for (const row of ROWS) {
        const after = { ...row, title: 'new' };
        const may = asker.change(table, 'update', row, after, ['title']);
        const { status } = await send(whom, 'PATCH', `/${table}/${row.id}`, { title: 'new' });
        expect([row.id, status]).toEqual([row.id, may ? 204 : refusal]);
        if (may) await restore(table);
      }
      const { id, ...rest } = FRESH;
      const may = asker.change(table, 'insert', undefined, FRESH, Object.keys(rest));
      expect((await send(whom, 'PUT', `/${table}/${id}`, rest)).status).toBe(may ? 201 : refusal);
      await restore(table);
      expect(await rowsOf(table)).toEqual(byId(ROWS));
    });

    it('exports what is seen, in every format', async () => {
      for (const table of TABLES) {
        const mayRead = asker.grants(table, 'read').length > 0;
        const exported = async (accept: string) => {
          const target = `/${table}/?limit(5000)&after()`;
          const answer = await send(whom, 'GET', target, undefined, { accept });
          expect([table, accept, answer.status]).toEqual([table, accept, mayRead ? 200 : refusal]);
          return mayRead ? String(answer.body).trim().split(/\r?\n/) : [];
        };
        const lines = await exported('application/x-ndjson');
        const rows = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
        expect(byId(rows)).toEqual(byId(mayRead ? seen(table) : []));
        const csv = await exported('text/csv');
        const isShown = (value: string) =>
          seen(table).some((row) => Object.values(row).some((each) => String(each) === value));
        for (const { id, secret } of ROWS) {
          const cells = csv.slice(1).flatMap((line) => line.split(','));
          expect([table, id, cells.includes(String(id))]).toEqual([table, id, isShown(String(id))]);
          if (!isShown(String(secret))) expect(cells).not.toContain(secret);
        }
      }
    });

    it('imports what may be written, and names the rest', async () => {
      const rows = [...ROWS.map((row) => ({ ...row, title: 'new' })), FRESH];
      for (const table of TABLES) {
        const expected = ROWS.map((row) => {
          const after: Row = { ...row, title: 'new' };
          // Saying what is read there already changes nothing.
          const read: Row = asker.row(table, 'read', row) ? asker.shown(table, 'read', row) : {};
          const named = ATTRIBUTES.filter((name) => after[name] !== read[name]);
          return asker.change(table, 'update', row, after, named) ? after : row;
        });
        const { id: _, ...fresh } = FRESH;
        const mayAdd = asker.change(table, 'insert', undefined, FRESH, Object.keys(fresh));
        const body = rows.map((row) => JSON.stringify(row)).join('\n');
        await send(whom, 'PUT', `/${table}/?onError=continue`, body, {
          'content-type': 'application/x-ndjson',
        });
        const held = await rowsOf(table);
        expect([table, held]).toEqual([table, byId(mayAdd ? [...expected, FRESH] : expected)]);
        await restore(table);
      }
    });

    it('runs operations on records within the grants, and tells of whole tables only', async () => {
      const mayRun = names.some((name) => DECLARED[name]?.operations !== undefined);
      for (const table of TABLES) {
        for (const id of ['else', 'sport/1']) {
          const row = ROWS.find((each) => each.id === id) ?? FRESH;
          const mayDelete = mayRun && asker.row(table, 'delete', row);
          await operate(whom, { operation: 'delete', table, ids: [id] });
          const isThere = (await rowsOf(table)).some((each) => each.id === id);
          const isSeen = asker.row(table, 'read', row);
          if (isThere) expect([table, id, mayDelete && isSeen]).toEqual([table, id, false]);
          else expect([table, id, mayDelete]).toEqual([table, id, true]);
          await restore(table);
        }
        const { id: _, ...fresh } = FRESH;
        for (const operation of ['insert', 'upsert']) {
          const may = mayRun && asker.change(table, 'insert', undefined, FRESH, Object.keys(fresh));
          await operate(whom, { operation, table, records: [FRESH] });
          const isThere = (await rowsOf(table)).some((each) => each.id === FRESH.id);
          expect([operation, table, isThere]).toEqual([operation, table, may]);
          await restore(table);
        }
        const found = await operate(whom, {
          ...{ operation: 'search_by_conditions', table },
          conditions: [{ attribute: 'id', comparator: 'starts_with', value: '' }],
        });
        const mayRead = mayRun && asker.grants(table, 'read').length > 0;
        expect([table, found.status]).toEqual([table, mayRead ? 200 : refusal]);
        if (mayRead) expect(byId(found.body as Row[])).toEqual(byId(seen(table)));
      }
      const described = await operate(whom, { operation: 'describe_all' });
      expect(described.status).toBe(mayRun ? 200 : refusal);
      if (!mayRun) return;
      const tables = Object.values(described.body as object).flatMap((each) => Object.keys(each));
      const whole = [...TABLES, ...CODE].filter((table) => isWhole(table, 'read'));
      expect(tables.sort()).toEqual([...whole].sort());
    });

    it('follows and writes on /live as over HTTP', async () => {
      const live = await new Live(`${node.ws}/live`, headersOf(whom)).opened();
      for (const table of [...TABLES, 'Wrapped']) {
        live.say({ subscribe: `/${table}/`, as: table });
        const isEnd = (one: Readonly<Record<string, unknown>>) =>
          one.sub === table &&
          (one.type === 'error' || (one.type === 'snapshot' && one.more !== true));
        const end = await live.next(isEnd);
        const may = asker.grants(table, 'subscribe').length > 0;
        expect([table, end.type]).toEqual([table, may ? 'snapshot' : 'error']);
        const chunks = live.heard.filter((one) => one.sub === table && one.type === 'snapshot');
        const rows = chunks.flatMap(({ values }) => values as readonly Row[]);
        expect(byId(rows)).toEqual(byId(may ? seen(table, 'subscribe') : []));
        live.say({ unsubscribe: table });
        for (const row of ROWS.slice(2, 4)) await expectWrites(live, table, row);
      }
      live.socket.terminate();
    });

    async function expectWrites(live: Live, table: string, row: Row): Promise<void> {
      const target = `/${table}/${row.id}`;
      const after = { ...row, title: 'new' };
      const isCode = table === 'Wrapped';
      const mayAll = isWhole(table, 'update') && isWhole(table, 'insert');
      const may = isCode ? mayAll : asker.change(table, 'update', row, after, ['title']);
      const told = await live.ask({ patch: target, value: { title: 'new' } });
      expect([target, told.type]).toEqual([target, may ? 'ack' : 'error']);
      const mayDelete = isCode ? isWhole(table, 'delete') : asker.row(table, 'delete', row);
      if (may) await restore(table);
      const gone = await live.ask({ delete: target });
      const isThere = (await rowsOf(table)).some(({ id }) => id === row.id);
      expect([target, gone.type === 'ack', isThere]).toEqual([target, mayDelete, !mayDelete]);
      if (mayDelete) await restore(table);
      expect(await rowsOf(table)).toEqual(byId(ROWS));
    }
  });
});
