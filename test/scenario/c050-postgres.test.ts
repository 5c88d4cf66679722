/**
 * Tables over a real PostgreSQL: read, written through, followed live, and honest while it is
 * away. Skipped, with the reason in its title, where the package is not installed.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { read } from '../support/cache-apps.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { PostgresServer, WITHOUT_POSTGRES } from '../support/postgres-server.ts';

const TABLE = `
  drop table if exists flights;
  create table flights (
    id text primary key, state text not null default 'planned', seats int, fare numeric(10,2),
    miles bigint, plan jsonb, badge bytea, tags text[], "odd "" name" int,
    updated_at timestamptz not null default clock_timestamp(), deleted_at timestamptz
  );
  create or replace function touch() returns trigger language plpgsql as $$
  begin
    new.updated_at := clock_timestamp();
    return new;
  end $$;
  create trigger touch before update on flights for each row execute function touch();
  create or replace function tell() returns trigger language plpgsql as $$
  begin
    perform pg_notify('flights_changed',
      json_build_object('id', coalesce(new.id, old.id), 'op', tg_op)::text);
    return null;
  end $$;
  create trigger tell after insert or update or delete on flights for each row
    execute function tell();
`;

const SCHEMA = `type Flight @table @sourcedFrom(origin: "db", write: through)
  @cache(freshness: { default: "DEFAULT", jitter: "0%" }, stale: { ifError: "1h" })
  @export(public: [read, insert, update, delete, subscribe]) { id: ID @primaryKey }\n`;

interface Change {
  readonly type: string;
  readonly id?: string;
  readonly value?: Readonly<Record<string, unknown>>;
}

describe.skipIf(WITHOUT_POSTGRES !== undefined)(`PostgreSQL ${WITHOUT_POSTGRES ?? ''}`, () => {
  let server: PostgresServer;
  let node: NodeProcess | undefined;
  const sockets: WebSocket[] = [];
  beforeAll(async () => {
    server = await PostgresServer.start();
  }, 60_000);
  afterAll(() => server?.dispose());
  beforeEach(() => server.sql(TABLE));
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    await node?.dispose();
    node = undefined;
  });

  async function start(
    origin: string,
    { lifetime = '1h', timeout = '20s' } = {},
  ): Promise<NodeProcess> {
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA.replace('DEFAULT', lifetime),
        'origins/db.yaml':
          `kind: postgres\nurl: ${server.url}\nallowPrivate: true\ntimeout: ${timeout}\n` +
          `breaker: { failures: 3, cooldown: 200ms }\n${origin}\n`,
      },
      flags: ['--threads', '1'],
    });
    return node;
  }

  async function follow(one: NodeProcess): Promise<Change[]> {
    const changes: Change[] = [];
    const socket = new WebSocket(`${one.ws}/Flight/`);
    sockets.push(socket);
    socket.on('message', (text) => changes.push(JSON.parse(String(text)) as Change));
    await until('the snapshot', () => changes.some(({ type }) => type === 'snapshot'));
    return changes;
  }

  const isFed = (one: NodeProcess, value: 0 | 1) =>
    until(`feed_connected ${value}`, async () => {
      return (await one.metric('millrace_feed_connected', { origin: 'db' })) === value;
    });

  /** What was fetched while the feed found out what is new is not kept: then it is read again. */
  const isHeld = (one: NodeProcess, path: string, state: string) =>
    until(`${path} to be held`, async () => {
      expect((await read(one, path)).text).toContain(state);
      return (await read(one, path, 'only-if-cached, max-stale')).status === 200;
    });

  const told = (changes: Change[], id: string, state: string) =>
    until(`${id} to be told as ${state}`, () =>
      changes.some(({ type, id: of, value }) => {
        return type === 'put' && of === id && value?.state === state;
      }),
    );

  it('reads a row as a record of JSON values, and says which rows there are not', async () => {
    await server.sql(`insert into flights values ('A1', 'boarding', 180, 99.50, 9007199254740993,
      '{"gate": "B"}', '\\xcafe', '{a,b}', 7, '2026-01-02 03:04:05.678901+01')`);
    const one = await start('table: flights');
    const answer = await read(one, '/Flight/A1');
    expect(JSON.parse(answer.text)).toEqual({
      id: 'A1',
      state: 'boarding',
      seats: 180,
      fare: 99.5,
      miles: '9007199254740993',
      plan: { gate: 'B' },
      badge: 'yv4=',
      tags: ['a', 'b'],
      'odd " name': 7,
      updated_at: '2026-01-02T02:04:05.678901Z',
      deleted_at: null,
    });
    expect((await read(one, '/Flight/A1')).cache).toMatch(/^millrace; hit/);
    expect((await read(one, '/Flight/none')).status).toBe(404);
    const hostile = encodeURIComponent(`x'; drop table flights; --`);
    expect((await read(one, `/Flight/${hostile}`)).status).toBe(404);
    expect(await server.sql('select count(*)::int as n from flights')).toEqual([{ n: 1 }]);
  });

  it('writes through to rows, and refuses what the database refuses', async () => {
    const one = await start('table: flights\nwrite: true');
    const put = await one.put('/Flight/W1', { id: 'W1', state: 'new', badge: 'yv4=', seats: 3 });
    expect(put.status).toBeLessThan(300);
    const patch = await one.fetch('/Flight/W1', {
      method: 'PATCH',
      body: '{"seats":4,"odd \\" name":5}',
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patch.status).toBeLessThan(300);
    const columns = 'state, seats, badge, "odd "" name" as odd';
    const rows = () => server.sql(`select ${columns} from flights where id = 'W1'`);
    expect(await rows()).toEqual([
      { state: 'new', seats: 4, badge: Buffer.from([0xca, 0xfe]), odd: 5 },
    ]);
    // A PUT is the whole record: what it lacks goes back to its default.
    expect((await one.put('/Flight/W1', { id: 'W1' })).status).toBeLessThan(300);
    expect(await rows()).toEqual([{ state: 'planned', seats: null, badge: null, odd: null }]);
    const record = JSON.parse((await read(one, '/Flight/W1')).text);
    expect(record).toMatchObject({ state: 'planned' });
    const unknown = await one.put('/Flight/W1', { id: 'W1', 'seats") --': 1 });
    expect(unknown.status).toBe(422);
    expect((await one.put('/Flight/W2', { id: 'W2', seats: 'many' })).status).toBe(422);
    expect((await one.fetch('/Flight/W1', { method: 'DELETE' })).status).toBeLessThan(300);
    expect(await rows()).toEqual([]);
    expect((await read(one, '/Flight/W1')).status).toBe(404);
  });

  it('tells a subscriber of an SQL UPDATE, and of what LISTEN says of other changes', async () => {
    await server.sql(`insert into flights (id) values ('L1'), ('L2')`);
    const one = await start('table: flights\nchanges: { channel: flights_changed }');
    await isFed(one, 1);
    const changes = await follow(one);
    await server.sql(`update flights set state = 'landed' where id = 'L1'`);
    await told(changes, 'L1', 'landed');
    await server.sql(`delete from flights where id = 'L1'`);
    await until('the deletion', () => changes.some((c) => c.type === 'delete' && c.id === 'L1'));
    expect((await read(one, '/Flight/L1', 'only-if-cached')).status).not.toBe(200);
  });

  it('finds changes by a polled column: equal instants, late commits, marks of deletion', async () => {
    const changed = 'changes: { poll: updated_at, every: 50ms, deleted: deleted_at, overlap: 30s }';
    const one = await start(`table: flights\n${changed}`);
    await isFed(one, 1);
    const changes = await follow(one);
    await server.sql(`begin; insert into flights (id, updated_at)
      select 'E' || n, now() from generate_series(1, 1200) n; commit`);
    const ids = () => new Set(changes.filter((c) => c.type === 'put').map((c) => c.id));
    await until('all rows of one instant', () => ids().size === 1200);
    // Committed after rows that are newer than itself.
    await server.sql(`insert into flights (id, updated_at) values ('LATE', now() - interval '5s')`);
    await until('the late row', () => ids().has('LATE'));
    await server.sql(`update flights set deleted_at = now() where id = 'LATE'`);
    await until('the deletion', () => changes.some((c) => c.type === 'delete' && c.id === 'LATE'));
  });

  it.each([
    [
      'with a polled column',
      'changes: { channel: flights_changed, poll: updated_at, every: 50ms }',
    ],
    ['by LISTEN alone', 'changes: { channel: flights_changed }'],
  ])(
    'serves held rows while the database is killed, and loses no later change %s',
    async (_, feed) => {
      await server.sql(`insert into flights (id, state) values ('K1', 'first'), ('K2', 'first')`);
      const one = await start(`table: flights\n${feed}`, { lifetime: '300ms' });
      await isFed(one, 1);
      for (const path of ['/Flight/K1', '/Flight/K2']) await isHeld(one, path, 'first');
      const changes = await follow(one);
      await server.kill();
      await isFed(one, 0);
      await until('the held row to be stale', async () => {
        const answer = await read(one, '/Flight/K1');
        expect(answer.status).toBe(200);
        expect(answer.text).toContain('first');
        return /fwd=stale/.test(answer.cache);
      });
      await server.resume();
      // Before the feed has come back: LISTEN does not tell of it.
      await server.sql(`update flights set state = 'missed' where id = 'K1'`);
      await isFed(one, 1);
      await until('the missed change to be read', async () =>
        (await read(one, '/Flight/K1')).text.includes('missed'),
      );
      await server.sql(`update flights set state = 'later' where id = 'K2'`);
      await told(changes, 'K2', 'later');
      expect((await read(one, '/Flight/K2')).text).toContain('later');
    },
  );

  it('refuses a private address unless it is allowed, and says so', async () => {
    const one = await startNode({
      files: {
        'schema.graphql': SCHEMA.replace('DEFAULT', '1h'),
        'origins/db.yaml': `kind: postgres\nurl: ${server.url}\ntable: flights\n`,
      },
    });
    node = one;
    const answer = await read(one, '/Flight/A1');
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(answer.text).toContain('ADDRESS_REFUSED');
  });

  it('ends a query at the deadline, at the server too', async () => {
    const one = await start(
      'retries: 0\nquery: "select *, pg_sleep(30)::text from flights where id = $1"',
      { timeout: '2s' },
    );
    await server.sql(`insert into flights (id) values ('S1')`);
    const answer = await read(one, '/Flight/S1');
    expect(answer.status).toBe(504);
    await until('no query to be running', async () => {
      const sleeping = `select pid from pg_stat_activity where query like '%pg_sleep(30)%'
        and state = 'active' and pid <> pg_backend_pid()`;
      return (await server.sql(sleeping)).length === 0;
    });
  });
});
