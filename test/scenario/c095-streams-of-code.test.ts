/**
 * Application code that clients follow and send messages to: `connect` and `subscribe` over
 * WebSocket and event streams, `publish` over `/live`.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Live } from '../support/live-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const FILES = {
  'schema.graphql': `
type Note @table @export(public: [read, insert, update, subscribe]) {
  id: ID @primaryKey
  text: String
}
type Secret @table @export(public: [read, update, insert, subscribe]) {
  id: ID @primaryKey
  text: String
}
`,
  'resources/streams.js': `
import { Resource, tables } from 'millrace';

export class Echo extends Resource {
  static public = ['read'];
  static async *connect(target, incoming) {
    yield { hello: target.id ?? null, who: target.get('who') };
    if (incoming === undefined) return;
    for await (const message of incoming) {
      if (message === 'end') return;
      if (message === 'fail') throw new Error('as it was told');
      yield { echo: message };
    }
  }
}
export class Clock extends Resource {
  static public = ['read'];
  connect(incoming) {
    const outgoing = super.connect();
    const timer = setInterval(() => outgoing.send({ tick: 1 }), 5);
    outgoing.on('close', () => {
      clearInterval(timer);
      void tables.Note.put('gone', { text: 'yes' });
    });
    incoming?.on('data', (message) => outgoing.send({ heard: message }));
    return outgoing;
  }
}
export class Notes extends Resource {
  static public = ['read', 'insert'];
  static async *subscribe(target) {
    for await (const { type, id, value } of tables.Note.subscribe({ id: target.id })) {
      yield { event: type, data: { id, value } };
    }
  }
  static async publish(target, message) {
    if (message.text === undefined) {
      throw Object.assign(new Error('a text is needed'), { statusCode: 422 });
    }
    await tables.Note.put(target.id, { text: message.text.toUpperCase() });
  }
}
export class Closed extends Resource {
  static async *connect() { yield 1; }
}
export class Secret extends tables.Secret {
  allowRead(user, target) {
    return target.id === 'open' || user?.username === 'admin';
  }
}
`,
};

const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const AUTHORIZATION = `Basic ${CREDENTIALS}`;

describe.each([1, 2])('streams of code on %i thread(s)', (threads) => {
  let node: NodeProcess;
  const open: Live[] = [];
  const connect = async (path: string, headers: Record<string, string> = {}): Promise<Live> => {
    const live = new Live(`${node.ws}${path}`, headers);
    open.push(live);
    return live.opened();
  };
  const refusedUpgrade = async (path: string): Promise<number | undefined> => {
    const stranger = new Live(`${node.ws}${path}`);
    open.push(stranger);
    let status: number | undefined;
    stranger.socket.on('unexpected-response', (_request, { statusCode }) => {
      status = statusCode;
    });
    await until('the refusal', () => status !== undefined);
    return status;
  };
  beforeAll(async () => {
    node = await startNode({ files: FILES, flags: ['--threads', String(threads)] });
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.socket.terminate();
  });
  afterAll(() => node.dispose());

  it('hands the messages of a client in and sends what is yielded', async () => {
    const live = await connect('/Echo/7?who=me');
    expect(await live.next(() => true)).toEqual({ hello: '7', who: 'me' });
    live.say({ a: [1] });
    expect(await live.next((one) => 'echo' in one)).toEqual({ echo: { a: [1] } });
    live.socket.send('no json');
    await live.next((one) => one.echo === 'no json');
    live.socket.send('"end"');
    await until('the end', () => live.closedWith === 1000);
  });

  it('closes with a code when the code fails, and serves on', async () => {
    const live = await connect('/Echo/1');
    live.socket.send('"fail"');
    await until('the end', () => live.closedWith === 4002);
    expect(node.stderr() + node.stdout()).toContain('as it was told');
    expect(await (await connect('/Echo/2')).next(() => true)).toMatchObject({ hello: '2' });
  });

  it('takes a stream to send to, and tells it when the client has gone', async () => {
    const live = await connect('/Clock/');
    await live.next((one) => one.tick === 1);
    live.say({ x: 1 });
    await live.next((one) => one.heard !== undefined);
    live.socket.terminate();
    await until('the code is told', async () => (await node.fetch('/Note/gone')).ok);
  });

  it('sends an event stream of what is yielded, with names', async () => {
    const leave = new AbortController();
    const answer = await node.fetch('/Notes/n1', {
      headers: { accept: 'text/event-stream' },
      signal: leave.signal,
    });
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    let text = '';
    const reading = (async () => {
      for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await node.put('/Note/n1', { text: 'a' });
    await until('the event', () =>
      text.includes('event: put\ndata: {"id":"n1","value":{"id":"n1","text":"a"}}\n\n'),
    );
    leave.abort();
    await reading;
    const once = await node.fetch('/Echo/3?who=x', { headers: { accept: 'text/event-stream' } });
    expect(await once.text()).toContain('data: {"hello":"3","who":"x"}');
  });

  it('hands messages to a class that takes them, with its own refusals', async () => {
    const follower = await connect('/Notes/p');
    await follower.next(() => true);
    const live = await connect('/live');
    expect(await live.ask({ publish: '/Notes/p', value: { text: 'loud' } })).toMatchObject({
      type: 'ack',
      outcome: 'published',
    });
    expect(await (await node.fetch('/Note/p')).json()).toEqual({ id: 'p', text: 'LOUD' });
    await follower.next((one) => JSON.stringify(one).includes('LOUD'));
    const refused = await live.ask({ publish: '/Notes/p', value: {} });
    expect(refused).toMatchObject({ code: 'RESOURCE_REFUSED', message: 'a text is needed' });
    expect(await live.ask({ publish: '/Echo/p', value: {} })).toMatchObject({ type: 'error' });
  });

  it('carries what a class yields on /live beside everything else, until either side ends it', async () => {
    const live = await connect('/live');
    live.say({ subscribe: '/Echo/5?who=x', as: 'once' });
    expect(await live.next((one) => one.sub === 'once')).toMatchObject({
      type: 'message',
      value: { hello: '5', who: 'x' },
    });
    await live.next((one) => one.sub === 'once' && one.type === 'end');
    live.say({ subscribe: '/Clock/', as: 'clock' });
    await live.next((one) => one.sub === 'clock' && one.type === 'message');
    live.say({ subscribe: '/Clock/', as: 'clock' });
    expect(await live.next((one) => one.type === 'error')).toMatchObject({ sub: 'clock' });
    await node.fetch('/Note/gone', { method: 'DELETE' });
    live.say({ unsubscribe: 'clock' });
    await until('the code is told', async () => (await node.fetch('/Note/gone')).ok);
    live.say({ subscribe: '/Clock/', as: 'fast', maxRate: 2 });
    expect(await live.next((one) => one.sub === 'fast')).toMatchObject({
      code: 'REQUEST_MALFORMED',
    });
  });

  it('asks a class on /live who may follow it, and again when somebody signs in', async () => {
    const live = await connect('/live');
    live.say({ subscribe: '/Closed/', as: 1 });
    expect(await live.next((one) => one.sub === 1)).toMatchObject({
      type: 'error',
      code: 'AUTHENTICATION_REQUIRED',
    });
    live.say({ authorization: AUTHORIZATION });
    live.say({ subscribe: '/Closed/', as: 2 });
    expect(await live.next((one) => one.sub === 2)).toMatchObject({ type: 'message', value: 1 });
    await live.next((one) => one.type === 'end');
  });

  it('asks the allowRead of a class in front of a table who may follow a record', async () => {
    await node.put('/Secret/hidden', { text: 'h' });
    await node.put('/Secret/open', { text: 'o' });
    expect((await node.fetch('/Secret/hidden')).status).toBe(401);
    const asked = { accept: 'text/event-stream' };
    expect((await node.fetch('/Secret/hidden', { headers: asked })).status).toBe(401);
    expect((await node.fetch('/Secret/', { headers: asked })).status).toBe(401);
    const leave = new AbortController();
    const taken = await node.fetch('/Secret/open', { headers: asked, signal: leave.signal });
    expect(taken.status).toBe(200);
    leave.abort();
    expect(await refusedUpgrade('/Secret/hidden')).toBe(401);
    expect(await (await connect('/Secret/open')).next(() => true)).toMatchObject({ type: 'put' });
    const live = await connect('/live');
    for (const verb of ['subscribe', 'presence']) {
      live.say({ [verb]: '/Secret/hidden', as: verb });
      expect(await live.next((one) => one.sub === verb)).toMatchObject({
        code: 'AUTHENTICATION_REQUIRED',
      });
    }
    live.say({ subscribe: '/Secret/open', as: 'y' });
    expect(await live.next((one) => one.sub === 'y')).toMatchObject({ value: { text: 'o' } });
    const admin = await connect('/Secret/hidden', { authorization: AUTHORIZATION });
    expect(await admin.next(() => true)).toMatchObject({ value: { text: 'h' } });
  });

  it('answers before the upgrade whether the client may', async () => {
    expect(await refusedUpgrade('/Closed/')).toBe(401);
    const admin = new Live(`${node.ws}/Closed/`, { authorization: AUTHORIZATION });
    open.push(admin);
    expect(await admin.next(() => true)).toBe(1);
    await until('the end', () => admin.closedWith === 1000);
  });
});
