/**
 * WebSockets over both engines: resource paths, `/live`, refusals, back-pressure and closing.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { tableName } from '../../../../src/base/brands.ts';
import type { HttpEngine } from '../../../../src/protocols/http/port.ts';
import { meansReconnect } from '../../../../src/protocols/websocket/close-codes.ts';
import { ADMIN, PushNode, until } from '../../../support/push-node.ts';

const FLIGHT = tableName('Flight');
const SECRET = tableName('Secret');
const engines: readonly HttpEngine[] = ['node', 'uws'];

describe.each(engines)('WebSockets on the %s engine', (engine) => {
  let node: PushNode | undefined;
  const start = async (parts = {}) => {
    node = await new PushNode(parts).start(engine);
    return node;
  };
  afterEach(() => node?.stop());

  it('streams a record at its own path, its state first', async () => {
    const { source, ...rest } = await start();
    source.put(FLIGHT, 'AA 1', { v: 1 });
    const client = (node as PushNode).socket('/Flight/AA%201');
    await client.count(1);
    source.put(FLIGHT, 'AA 1', { v: 2 });
    source.delete(FLIGHT, 'AA 1');
    expect(await client.count(3)).toMatchObject([
      { type: 'put', table: 'Flight', id: 'AA 1', value: { v: 1 }, retained: true },
      { type: 'put', id: 'AA 1', value: { v: 2 }, position: 'e1.2', at: 2 },
      { type: 'delete', id: 'AA 1', position: 'e1.3' },
    ]);
    expect(rest).toBeDefined();
  });

  it('streams a collection, with conditions, after a snapshot', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1, airport: 'SFO' });
    push.source.put(FLIGHT, 'BB2', { v: 2, airport: 'LAX' });
    const all = push.socket('/Flight/');
    const some = push.socket('/Flight/?airport=SFO');
    await all.count(1);
    await some.count(1);
    push.source.put(FLIGHT, 'BB2', { v: 3, airport: 'SFO' });
    push.source.put(FLIGHT, 'AA1', { v: 4, airport: 'LAX' });
    expect((await some.count(3)).map((event) => event.type)).toEqual([
      'snapshot',
      'enter',
      'leave',
    ]);
    expect((await all.count(3)).map((event) => event.type)).toEqual(['snapshot', 'put', 'put']);
    expect(some.events[0]?.values).toEqual([{ v: 1, airport: 'SFO' }]);
  });

  it('resumes from a position in the query', async () => {
    const push = await start();
    for (const v of [1, 2, 3]) push.source.put(FLIGHT, 'AA1', { v });
    const client = push.socket('/Flight/AA1?lastEventId=e1.2');
    expect(await client.count(1)).toMatchObject([{ type: 'put', value: { v: 3 } }]);
  });

  it('multiplexes subscriptions on /live, sub first in every event', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1 });
    const client = await push.socket('/live').opened();
    client.say({ subscribe: '/Flight/AA1', as: 1 });
    client.say({ subscribe: '/Flight/?airport=SFO', as: 'sfo' });
    await client.count(2);
    client.say({ unsubscribe: 1 });
    client.say({ ping: 1 });
    await client.count(3);
    push.source.put(FLIGHT, 'AA1', { v: 2, airport: 'SFO' });
    const events = await client.count(4);
    expect(events).toMatchObject([
      { sub: 1, type: 'put', retained: true },
      { sub: 'sfo', type: 'snapshot', values: [] },
      { type: 'pong' },
      { sub: 'sfo', type: 'enter', id: 'AA1' },
    ]);
    expect(client.texts[0]?.startsWith('{"sub":1,"type":"put"')).toBe(true);
  });

  it('begins /live subscriptions from a position, or without the present state', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1 });
    push.source.put(FLIGHT, 'AA1', { v: 2 });
    const client = await push.socket('/live').opened();
    client.say({ subscribe: '/Flight/AA1', as: 1, from: 'e1.1' });
    client.say({ subscribe: '/Flight/AA1', as: 2, from: 'e9.1' });
    client.say({ subscribe: '/Flight/BB2', as: 3, omitCurrent: true });
    await client.count(3);
    push.source.put(FLIGHT, 'BB2', { v: 3 });
    await client.count(4);
    const types = (sub: number) =>
      client.events.filter((event) => event.sub === sub).map((event) => event.type);
    expect(types(1)).toEqual(['put']);
    expect(types(2)).toEqual(['reset', 'put']);
    expect(types(3)).toEqual(['put']);
  });

  it('answers what it cannot do on /live with an error and stays open', async () => {
    const push = await start({ subscriptionsMax: 2 });
    const client = await push.socket('/live').opened();
    client.say('{');
    client.say({ hello: 1 });
    client.say({ subscribe: 'Flight', as: 1 });
    client.say({ subscribe: '/Nothing/', as: 1 });
    client.say({ subscribe: '/Secret/', as: 1 });
    client.say({ subscribe: '/Flight/?wings=2', as: 1 });
    client.say({ subscribe: '/Flight/', as: { a: 1 } });
    client.say({ unsubscribe: 7 });
    client.say({ subscribe: '/Flight/AA1', as: 1, maxRate: -1 });
    await client.count(9);
    expect(client.events.map((event) => [event.type, event.sub, event.code])).toEqual([
      ['error', undefined, 'REQUEST_MALFORMED'],
      ['error', undefined, 'REQUEST_MALFORMED'],
      ['error', 1, 'REQUEST_MALFORMED'],
      ['error', 1, 'NOT_FOUND'],
      ['error', 1, 'AUTHENTICATION_REQUIRED'],
      ['error', 1, 'QUERY_INVALID'],
      ['error', undefined, 'REQUEST_MALFORMED'],
      ['error', 7, 'NOT_FOUND'],
      ['error', 1, 'REQUEST_MALFORMED'],
    ]);
    for (const as of [1, 1, 2, 3]) client.say({ subscribe: '/Flight/AA1', as });
    await client.count(13);
    expect(client.events.slice(9).map((event) => event.code)).toEqual(
      expect.arrayContaining(['REQUEST_MALFORMED', 'SUBSCRIPTION_LIMIT']),
    );
    expect(push.fanout.subscriptionCount).toBe(2);
  });

  it('conflates to the rate a client asks for, and ends at the newest value', async () => {
    const push = await start();
    const client = await push.socket('/live').opened();
    client.say({ subscribe: '/Flight/AA1', as: 1, maxRate: 50, omitCurrent: true });
    await until(() => push.fanout.subscriptionCount === 1);
    for (let v = 1; v <= 300; v += 1) {
      push.source.put(FLIGHT, 'AA1', { v });
      if (v % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => (client.events.at(-1)?.value as { v: number } | undefined)?.v === 300);
    expect(client.events.length).toBeLessThan(150);
  });

  it('refuses an upgrade as HTTP, with the reason', async () => {
    const push = await start();
    const cases: [string, Record<string, string>, number, string][] = [
      ['/Nothing/', {}, 404, 'NOT_FOUND'],
      ['/Secret/', {}, 401, 'AUTHENTICATION_REQUIRED'],
      ['/Flight/?wings=2', {}, 400, 'QUERY_INVALID'],
      ['/Flight/%zz', {}, 400, 'KEY_INVALID'],
      ['/Flight/', { authorization: 'Basic eA==' }, 401, 'AUTHENTICATION_REQUIRED'],
    ];
    for (const [path, headers, status, code] of cases) {
      const client = push.socket(path, headers);
      await until(() => client.refusedWith !== undefined);
      expect([client.refusedWith, JSON.parse(client.refusal).code]).toEqual([status, code]);
    }
  });

  it('lets the administrator subscribe to what is not public', async () => {
    const push = await start();
    push.source.put(SECRET, 'AA1', { v: 1 });
    const client = push.socket('/Secret/AA1', { authorization: ADMIN });
    expect(await client.count(1)).toMatchObject([{ type: 'put', table: 'Secret' }]);
  });

  it('conflates for a client that stops reading; it ends at the newest value', async () => {
    const push = await start({ conflateBytesMax: 32 * 1024 });
    const slow = await push.socket('/Flight/').opened();
    const quick = push.socket('/Flight/');
    await slow.count(1);
    await quick.count(1);
    slow.socket.pause();
    const text = 'x'.repeat(16 * 1024);
    // The kernel takes some megabytes before the socket counts as full.
    for (let v = 1; push.fanout.counters.stalls.websocket === 0; v += 1) {
      push.source.put(FLIGHT, `F${v % 5}`, { v, text });
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let v = 100_000; v < 100_500; v += 1) push.source.put(FLIGHT, `F${v % 5}`, { v, text });
    await until(() => quick.events.at(-1)?.position === `e1.${push.source.lastSequence()}`);
    slow.socket.resume();
    await until(() => slow.events.at(-1)?.position === `e1.${push.source.lastSequence()}`);
    expect(slow.events.length).toBeLessThan(quick.events.length);
    const shown = new Map(slow.events.slice(1).map((event) => [event.id, event.value]));
    expect(shown).toEqual(push.source.state(FLIGHT));
  });

  it('ends the subscriptions of a client that is gone', async () => {
    const push = await start();
    const client = push.socket('/Flight/');
    await client.count(1);
    client.terminate();
    await until(() => push.fanout.subscriptionCount === 0);
    expect(push.gateway.connectionCount).toBe(0);
  });

  it('tells clients to come back elsewhere when the node stops', async () => {
    const push = await start();
    const client = push.socket('/Flight/');
    await client.count(1);
    push.gateway.stop();
    await until(() => client.closeCode !== undefined);
    expect(meansReconnect(client.closeCode ?? 0)).toBe(true);
    const late = push.socket('/Flight/');
    await until(() => late.refusedWith !== undefined);
    expect(late.refusedWith).toBe(503);
  });

  it('answers messages on a resource path with an error', async () => {
    const push = await start();
    const client = push.socket('/Flight/AA1');
    await client.count(1);
    client.say({ subscribe: '/Flight/BB2' });
    expect(await client.count(2)).toMatchObject([
      { type: 'delete' },
      { type: 'error', code: 'METHOD_NOT_ALLOWED' },
    ]);
  });
});
