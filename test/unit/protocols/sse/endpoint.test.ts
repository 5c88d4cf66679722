/**
 * Event streams over both engines: headers, events, resuming, heartbeats and slow readers.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { tableName } from '../../../../src/base/brands.ts';
import type { HttpEngine } from '../../../../src/protocols/http/port.ts';
import { wantsEventStream } from '../../../../src/protocols/sse/endpoint.ts';
import { PushNode, until } from '../../../support/push-node.ts';

const FLIGHT = tableName('Flight');
const engines: readonly HttpEngine[] = ['node', 'uws'];

describe.each(engines)('event streams on the %s engine', (engine) => {
  let node: PushNode | undefined;
  const start = async (parts = {}) => {
    node = await new PushNode(parts).start(engine);
    return node;
  };
  afterEach(() => node?.stop());

  it('sends the state and the changes as named events with their positions [HTML §9.2]', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1 });
    const client = await push.stream('/Flight/AA1');
    push.source.put(FLIGHT, 'AA1', { v: 2 });
    const events = await client.count(2);
    expect(client.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    expect(client.text.startsWith('retry: 2000\n\n')).toBe(true);
    expect(events.map(({ id, event }) => [id, event])).toEqual([
      ['e1.1', 'put'],
      ['e1.2', 'put'],
    ]);
    expect(JSON.parse(events[1]?.data ?? '')).toEqual({
      ...{ type: 'put', table: 'Flight', id: 'AA1', value: { v: 2 } },
      ...{ position: 'e1.2', at: 2 },
    });
  });

  it.each([
    ['Last-Event-ID', '/Flight/', { 'last-event-id': 'e1.1' }],
    ['lastEventId', '/Flight/?lastEventId=e1.1', {}],
  ])('resumes by %s without a snapshot [HTML §9.2.4]', async (_how, path, headers) => {
    const push = await start();
    for (const v of [1, 2]) push.source.put(FLIGHT, `F${v}`, { v });
    const client = await push.stream(path, headers as Record<string, string>);
    const [event] = await client.count(1);
    expect([event?.id, event?.event]).toEqual(['e1.2', 'put']);
  });

  it('takes its last id from a client that is told to begin anew', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1 });
    const client = await push.stream('/Flight/', { 'last-event-id': 'old.1' });
    const events = await client.count(2);
    expect(events.map(({ id, event }) => [id, event])).toEqual([
      ['', 'reset'],
      ['e1.1', 'snapshot'],
    ]);
  });

  it('misses nothing that is committed once the client has the headers', async () => {
    const push = await start();
    for (let round = 1; round <= 20; round += 1) {
      const client = await push.stream('/Flight/AA1');
      const written = push.source.put(FLIGHT, 'AA1', { v: round });
      await until(() => client.events.at(-1)?.id === `e1.${written}`);
      client.terminate();
    }
  });

  it('keeps a value with line ends in one event', async () => {
    const push = await start();
    push.source.put(FLIGHT, 'AA1', { v: 1, text: 'a\nb\r\nc' });
    const client = await push.stream('/Flight/AA1');
    const [event] = await client.count(1);
    expect(JSON.parse(event?.data ?? '').value.text).toBe('a\nb\r\nc');
  });

  it('conflates for a client that stops reading; it ends at the newest value', async () => {
    const push = await start({ conflateBytesMax: 32 * 1024 });
    const slow = await push.stream('/Flight/');
    await slow.count(1);
    slow.response.pause();
    const text = 'x'.repeat(16 * 1024);
    for (let v = 1; push.fanout.counters.stalls.sse === 0; v += 1) {
      push.source.put(FLIGHT, `F${v % 5}`, { v, text });
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let v = 100_000; v < 100_500; v += 1) push.source.put(FLIGHT, `F${v % 5}`, { v, text });
    slow.response.resume();
    await until(() => slow.events.at(-1)?.id === `e1.${push.source.lastSequence()}`);
    const shown = new Map<string, unknown>();
    for (const event of slow.events.slice(1)) {
      const { id, value } = JSON.parse(event.data);
      shown.set(id, value);
    }
    expect(shown).toEqual(push.source.state(FLIGHT));
    expect(slow.events.length).toBeLessThan(push.source.lastSequence() - 400);
  });

  it('ends the subscription of a client that is gone, and every stream when the node stops', async () => {
    const push = await start();
    const gone = await push.stream('/Flight/');
    const stays = await push.stream('/Flight/');
    gone.terminate();
    await until(() => push.sse.connectionCount === 1);
    expect(push.fanout.subscriptionCount).toBe(1);
    push.sse.stop();
    await until(() => stays.ended);
    expect(push.fanout.subscriptionCount).toBe(0);
  });

  it('answers what cannot be streamed with a problem document', async () => {
    const push = await start();
    const statuses: [string, number][] = [
      ['/Nothing/', 404],
      ['/Secret/', 401],
      ['/Flight/?wings=2', 400],
    ];
    for (const [path, status] of statuses) {
      const { response } = await push.stream(path);
      expect(response.statusCode).toBe(status);
      expect(response.headers['content-type']).toBe('application/problem+json');
    }
  });
});

it.each([
  ['text/event-stream', true],
  ['application/json, text/event-stream;q=0.9', true],
  ['*/*', false],
  ['text/event-streams', false],
  [undefined, false],
])('takes Accept: %s for a wish for a stream: %s', (accept, wanted) => {
  expect(wantsEventStream(accept)).toBe(wanted);
});
