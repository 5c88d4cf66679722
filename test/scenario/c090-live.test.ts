/**
 * `/live` over the wire: writes with their acknowledgements under the rules of REST, signing in on
 * an open socket, presence over threads, and the binary encodings.
 */
import { encode as cbor, decode as fromCbor } from 'cbor-x';
import { pack, unpack } from 'msgpackr';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Codec, Live } from '../support/live-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Flight @table @export(public: [read, subscribe]) {
  id: ID @primaryKey
  gate: String
  delay: Int
}
type Crew @table @export {
  id: ID @primaryKey
  name: String
  salary: Int
}
type Note @table @export(public: [read, insert, update, delete, subscribe, publish]) {
  id: ID @primaryKey
  text: String
}
`;
const ROLES = `
clerk:
  tables:
    Flight: { read: true, subscribe: true, insert: true, update: true }
    Note: { subscribe: true }
desk:
  tables:
    Crew:
      read: true
      subscribe: true
      insert: true
      update: true
      attributes: { salary: { read: false, update: false } }
`;

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const PASSWORD = 'a password of some length';
const BY_ADMIN = { authorization: basic(ADMIN.username, ADMIN.password) };

describe.each([1, 2])('/live on %i thread(s)', (threads) => {
  let node: NodeProcess;
  const open: Live[] = [];
  const connect = (headers: Record<string, string> = {}, codec?: Codec): Promise<Live> => {
    const live = new Live(`${node.ws}/live`, headers, codec);
    open.push(live);
    return live.opened();
  };

  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'roles.yaml': ROLES },
      flags: ['--threads', String(threads)],
    });
    const password = PASSWORD;
    for (const role of ['clerk', 'desk']) {
      const user = { username: role, password, roles: [role], active: true };
      await node.operate({ operation: 'add_user', ...user });
    }
  });
  afterEach(() => {
    for (const live of open.splice(0)) live.socket.terminate();
  });
  afterAll(() => node.dispose());
  const hire = (id: string, value: object) => node.put(`/Crew/${id}`, value, BY_ADMIN);
  const by = (name: string) => ({ authorization: basic(name, PASSWORD) });

  it('acknowledges writes with outcome, tag and position', async () => {
    const live = await connect();
    live.say({ subscribe: '/Note/', as: 'notes', omitCurrent: true });
    const made = await live.ask({ put: '/Note/1', value: { text: 'a' } });
    expect(made).toMatchObject({ type: 'ack', status: 201, outcome: 'created' });
    const tag = (await node.fetch('/Note/1')).headers.get('etag');
    expect(made.entityTag).toBe(tag);
    const told = await live.next((one) => one.sub === 'notes' && one.type === 'put');
    expect(told.position).toBe(made.position);
    const patched = await live.ask({ patch: '/Note/1', value: { text: 'b' } });
    expect(patched).toMatchObject({ status: 204, outcome: 'updated' });
    const merged = { patch: '/Note/1', value: { text: null, more: 1 }, format: 'merge-patch' };
    expect(await live.ask(merged)).toMatchObject({ status: 204, outcome: 'updated' });
    expect(await (await node.fetch('/Note/1')).json()).toEqual({ id: '1', more: 1 });
    const posted = await live.ask({ post: '/Note/', value: { text: 'c' } });
    expect(posted).toMatchObject({ status: 201, outcome: 'created' });
    expect(posted.location).toBe(`/Note/${String(posted.value?.id)}`);
    expect(await live.ask({ delete: '/Note/1' })).toMatchObject({ outcome: 'deleted' });
    expect((await node.fetch('/Note/1')).status).toBe(404);
  });

  it('delivers what is published and stores nothing of it', async () => {
    const live = await connect();
    live.say({ subscribe: '/Note/m', as: 1 });
    await live.next((one) => one.type === 'delete');
    const sent = await live.ask({ publish: '/Note/m', value: { hello: 'you' } });
    expect(sent).toMatchObject({ type: 'ack', outcome: 'published' });
    const told = await live.next((one) => one.type === 'message');
    expect(told).toMatchObject({ sub: 1, id: 'm', value: { hello: 'you' } });
    expect(told.position).toBe(sent.position);
    expect((await node.fetch('/Note/m')).status).toBe(404);
    const nowhere = await live.ask({ publish: '/Nothing/m', value: 1 });
    expect(nowhere).toMatchObject({ type: 'error', code: 'TABLE_UNKNOWN' });
  });

  it('says whether it goes on from the position that was named', async () => {
    const live = await connect();
    const { position } = await live.ask({ put: '/Note/at', value: { text: 'a' } });
    await live.ask({ put: '/Note/at', value: { text: 'b' } });
    const plain = await live.ask({ subscribe: '/Note/at', as: 'plain' });
    expect(plain).toEqual({ type: 'ack', ack: plain.ack, sub: 'plain', status: 200 });
    const onwards = { subscribe: '/Note/at', as: 'onwards', from: position };
    expect(await live.ask(onwards)).toMatchObject({ sub: 'onwards', recovered: true });
    await live.next((one) => one.sub === 'onwards' && one.value?.text === 'b');
    expect(live.heard.some((one) => one.type === 'reset')).toBe(false);
    const lost = { subscribe: '/Note/at', as: 'lost', from: 'another.1' };
    expect(await live.ask(lost)).toMatchObject({ sub: 'lost', recovered: false });
    expect(await live.next((one) => one.type === 'reset')).toMatchObject({ recovered: false });
    const first = { subscribe: '/Note/?sort(text)&limit(1)', as: 'first', from: position };
    expect(await live.ask(first)).toMatchObject({ sub: 'first', recovered: false });
    expect(await live.ask({ unsubscribe: 'lost' })).toMatchObject({ sub: 'lost', status: 204 });
    const again = await live.ask({ unsubscribe: 'lost' });
    expect(again).toMatchObject({ type: 'error', code: 'NOT_FOUND' });
    const crowd = await live.ask({ presence: '/Note/at', as: 'crowd' });
    expect(crowd).toMatchObject({ type: 'ack', sub: 'crowd' });
  });

  it('writes to one record in the order in which they were said', async () => {
    const live = await connect();
    const last = 40;
    for (let n = 0; n < last; n += 1) live.say({ put: '/Note/turns', value: { text: String(n) } });
    expect(await live.ask({ patch: '/Note/turns', value: { done: true } })).toMatchObject({
      status: 204,
    });
    const stored = await (await node.fetch('/Note/turns')).json();
    expect(stored).toEqual({ id: 'turns', text: String(last - 1), done: true });
  });

  it('holds the conditions of a write, and tells the tag there is', async () => {
    const live = await connect();
    const made = await live.ask({ put: '/Note/c', value: { text: 'a' }, ifNoneMatch: '*' });
    expect(made.status).toBe(201);
    const again = await live.ask({ put: '/Note/c', value: { text: 'b' }, ifNoneMatch: '*' });
    expect(again).toMatchObject({ code: 'PRECONDITION_FAILED', entityTag: made.entityTag });
    const ifMatch = made.entityTag;
    expect(await live.ask({ patch: '/Note/c', value: { text: 'c' }, ifMatch })).toMatchObject({
      status: 204,
    });
    const late = await live.ask({ delete: '/Note/c', ifMatch });
    expect(late).toMatchObject({ type: 'error', code: 'PRECONDITION_FAILED', status: 412 });
  });

  it('refuses what REST would refuse, and says why', async () => {
    const live = await connect();
    const refused = async (message: object) => (await live.ask(message)).code;
    expect(await refused({ put: '/Flight/A', value: {} })).toBe('AUTHENTICATION_REQUIRED');
    expect(await refused({ put: '/Note/', value: 1 })).toBe('BODY_MALFORMED');
    expect(await refused({ put: '/Note/1', value: { text: 7 } })).toBe('RECORD_INVALID');
    expect(await refused({ put: '/Note/1' })).toBe('REQUEST_MALFORMED');
    expect(await refused({ put: 'Note/1', value: {} })).toBe('REQUEST_MALFORMED');
    expect(await refused({ put: '/Note/1', value: {}, ifMatch: '"a\r\nx: y"' })).toBe(
      'REQUEST_MALFORMED',
    );
    expect(await refused({ put: '/None/1', value: {} })).toBe('TABLE_UNKNOWN');
    live.say({ put: '/Flight/A', value: {} });
    expect(await live.next((one) => one.type === 'error' && !('ack' in one))).toBeDefined();
    live.socket.send('not json');
    expect(await live.next((one) => one.message === 'not JSON')).toBeDefined();
  });

  it('judges each write by the grants of whoever opened the socket', async () => {
    const clerk = await connect(by('clerk'));
    expect(await clerk.ask({ put: '/Flight/AA1', value: { gate: 'A1', delay: 3 } })).toMatchObject({
      status: 201,
    });
    expect(await clerk.ask({ delete: '/Flight/AA1' })).toMatchObject({ code: 'ACCESS_DENIED' });
    const published = await clerk.ask({ publish: '/Flight/AA1', value: 1 });
    expect(published).toMatchObject({ code: 'ACCESS_DENIED', status: 403 });
    const desk = await connect(by('desk'));
    await hire('C1', { name: 'Ann', salary: 3 });
    const moved = await desk.ask({ patch: '/Crew/C1', value: { name: 'Anne' } });
    expect(moved.status).toBe(204);
    expect('entityTag' in moved).toBe(false);
    expect(await desk.ask({ patch: '/Crew/C1', value: { salary: 9 } })).toMatchObject({
      code: 'ACCESS_DENIED',
    });
    const stored = await (await node.fetch('/Crew/C1', { headers: BY_ADMIN })).json();
    expect(stored).toEqual({ id: 'C1', name: 'Anne', salary: 3 });
  });

  it('signs in on an open socket, and stays who it is', async () => {
    const tokens = await fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ operation: 'create_authentication_tokens', username: 'clerk', password: PASSWORD },
      }),
    });
    const { operation_token: token } = (await tokens.json()) as { operation_token: string };
    const live = await connect();
    const put = { put: '/Flight/S', value: { gate: 'C' } };
    expect(await live.ask(put)).toMatchObject({ code: 'AUTHENTICATION_REQUIRED' });
    expect(await live.ask({ token: 'nonsense' })).toMatchObject({ status: 401 });
    expect(await live.ask({ token })).toMatchObject({ type: 'ack', status: 204 });
    expect(await live.ask(put)).toMatchObject({ type: 'ack' });
    expect(await live.ask(by('desk'))).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(await live.ask(by('clerk'))).toMatchObject({ type: 'ack' });
    // Whoever was revoked is gone within a second, whatever the socket began with.
    await node.operate({ operation: 'revoke_token', token });
    expect(await live.ask(put)).toMatchObject({ type: 'ack' });
    await node.operate({ operation: 'revoke_user_tokens', username: 'clerk' });
    await until('the socket ends', () => live.closedWith === 4501);
  });

  it('judges what is followed again when its follower signs in', async () => {
    await hire('J', { name: 'Jo', salary: 9 });
    const live = await connect();
    live.say({ subscribe: '/Crew/J', as: 'j' });
    expect(await live.next((one) => one.sub === 'j')).toMatchObject({
      code: 'AUTHENTICATION_REQUIRED',
    });
    live.say({ subscribe: '/Flight/J', as: 'f' });
    await live.next((one) => one.sub === 'f');
    expect(await live.ask(by('desk'))).toMatchObject({ status: 204 });
    live.say({ subscribe: '/Crew/J', as: 'j' });
    const seen = await live.next((one) => one.sub === 'j' && one.type === 'put');
    expect(seen.value).toEqual({ id: 'J', name: 'Jo' });
    await node.put('/Note/J', { text: 'x' });
    await hire('J', { name: 'Joe', salary: 9 });
    const changed = await live.next(
      (one) => one.sub === 'j' && one.type === 'put' && !one.retained,
    );
    expect(changed.value).toEqual({ id: 'J', name: 'Joe' });
    expect(live.heard.filter((one) => one.sub === 'f')).toHaveLength(1);
  });

  it('begins nothing for a client that leaves while it signs in', async () => {
    const slow = { username: 'slow', password: PASSWORD, roles: ['desk'], active: true };
    await node.operate({ operation: 'add_user', ...slow });
    const live = await connect();
    live.say(by('slow'));
    live.say({ subscribe: '/Note/', as: 'gone' });
    live.socket.close();
    const other = await connect();
    expect(await other.ask(by('slow'))).toMatchObject({ status: 204 });
    await until('the end of the socket', () => live.closedWith !== undefined);
    const listed = await node.operate({ operation: 'subscriptions_list' });
    const names = (listed.subscriptions as { name?: unknown }[]).map(({ name }) => name);
    expect(names).not.toContain('gone');
  });

  it('tells how many follow a record, on all threads', async () => {
    const watcher = await connect();
    watcher.say({ presence: '/Flight/P', as: 'p' });
    const counts = () => watcher.heard.filter((one) => one.type === 'presence');
    await until('the first count', () => counts().at(-1)?.count === 0);
    const followers = await Promise.all(Array.from({ length: 6 }, () => connect()));
    for (const one of followers) one.say({ subscribe: '/Flight/P' });
    const own = new Live(`${node.ws}/Flight/P`);
    open.push(own);
    await until('seven', () => counts().at(-1)?.count === 7);
    followers[0]?.say({ unsubscribe: 1 });
    for (const one of followers.slice(1, 4)) one.socket.terminate();
    await until('three', () => counts().at(-1)?.count === 3);
    watcher.say({ unsubscribe: 'p' });
    watcher.say({ ping: 1 });
    await watcher.next((one) => one.type === 'pong');
    const told = counts().length;
    own.socket.terminate();
    await connect();
    expect(counts().length).toBe(told);
    watcher.say({ presence: '/Hidden/P', as: 'h' });
    expect(await watcher.next((one) => one.sub === 'h')).toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each([
    {
      protocol: 'millrace.msgpack',
      write: (one: object) => pack(one),
      read: (b: Buffer) => unpack(b),
    },
    {
      protocol: 'millrace.cbor',
      write: (one: object) => cbor(one),
      read: (b: Buffer) => fromCbor(b),
    },
  ])('speaks $protocol', async (codec) => {
    const live = await connect({}, codec);
    expect(live.socket.protocol).toBe(codec.protocol);
    live.say({ subscribe: '/Note/', as: 'n', omitCurrent: true });
    const id = codec.protocol;
    const made = await live.ask({ put: `/Note/${id}`, value: { text: 'é', n: [1, { a: null }] } });
    expect(made).toMatchObject({ type: 'ack', outcome: 'created' });
    const told = await live.next((one) => one.sub === 'n');
    expect(told).toMatchObject({ id, type: 'put', position: made.position });
    expect(told.value).toEqual({ id, text: 'é', n: [1, { a: null }] });
    live.socket.send(JSON.stringify({ ping: 1 }));
    expect(await live.next((one) => one.type === 'error')).toMatchObject({
      code: 'REQUEST_MALFORMED',
    });
    const own = new Live(`${node.ws}/Note/${id}`, {}, codec);
    open.push(own);
    expect(await own.next((one) => one.type === 'put')).toMatchObject({ retained: true, id });
  });
});
