/**
 * One connection over a socket of the test's own: gathering, fullness, loss.
 */
import { describe, expect, it } from 'vitest';
import { must } from '../../../../src/base/assert.ts';
import type { Position } from '../../../../src/base/brands.ts';
import { LIMITS } from '../../../../src/config/limits.ts';
import { EncodedEvent } from '../../../../src/feed/event.ts';
import type { Subscription } from '../../../../src/feed/subscriber.ts';
import type { Broadcast, SendResult, Socket } from '../../../../src/protocols/http/port.ts';
import { CLOSE_CODES, meansReconnect } from '../../../../src/protocols/websocket/close-codes.ts';
import { Connection } from '../../../../src/protocols/websocket/connection.ts';
import { sinkOf } from '../../../../src/protocols/websocket/event-sinks.ts';

class FakeSocket implements Socket<undefined> {
  readonly state = undefined;
  readonly remoteAddress = '127.0.0.1';
  readonly sent: string[] = [];
  corks = 0;
  next: SendResult = 'sent';
  bufferedBytes = 0;
  closedWith: number | undefined;

  get closed(): boolean {
    return this.closedWith !== undefined;
  }

  send(message: string | Uint8Array): SendResult {
    this.sent.push(Buffer.from(message).toString());
    return this.next;
  }

  cork(fn: () => void): void {
    this.corks += 1;
    fn();
  }

  close(code: number): void {
    this.closedWith = code;
  }

  terminate(): void {
    this.closedWith = 1006;
  }

  readonly topics = new Set<string>();
  broadcast: Broadcast | undefined;

  join(topic: string): void {
    this.sent.push(`joined ${topic}`);
    this.topics.add(topic);
  }

  leave(topic: string): void {
    this.topics.delete(topic);
  }
}

function connected(conflateBytesMax = 1_000) {
  const dirty: Connection[] = [];
  const connection = new Connection({ conflateBytesMax, flushLater: (one) => dirty.push(one) });
  const socket = new FakeSocket();
  connection.opened(socket);
  const calls: string[] = [];
  const subscription: Subscription = {
    recovered: undefined,
    stage: 'live',
    begin: () => calls.push('begin'),
    drained: () => calls.push('drained'),
    close: () => calls.push('close'),
    leaveCrowd: () => calls.push('leaveCrowd'),
  };
  const sink = sinkOf(connection, undefined, () => undefined);
  connection.hold(1, { subscription, resource: '/x', judgeAgain: () => undefined });
  return { connection, socket, dirty, calls, sink };
}

/** One whose engine sends to many at once. */
function crowded(bufferBytesMax = 1_000_000) {
  const made = connected();
  made.socket.broadcast = { bufferBytesMax, send: () => undefined };
  return { ...made, crowdSink: must(made.sink.crowded, 'a sink that can crowd') };
}

const event = (text: string) =>
  new EncodedEvent('put', 'e.1' as Position, `{"type":"put","value":"${text}"}`);

describe('a connection', () => {
  it('sends what one turn brought together, in order', () => {
    const { connection, socket, dirty, sink } = connected();
    for (const text of ['a', 'b', 'c']) sink.write(event(text));
    expect(socket.sent).toEqual([]);
    expect(dirty).toHaveLength(1);
    connection.flush();
    expect(socket.sent.map((text) => JSON.parse(text).value)).toEqual(['a', 'b', 'c']);
    expect(socket.corks).toBe(1);
  });

  it('has no room from a buffered send until the engine drains, then tells its subscriptions', () => {
    const { connection, socket, calls, sink } = connected();
    socket.next = 'buffered';
    sink.write(event('a'));
    connection.flush();
    expect(sink.ready()).toBe(false);
    expect(calls).toEqual([]);
    connection.drained();
    expect(calls).toEqual(['drained']);
    expect(sink.ready()).toBe(true);
  });

  it('has no room when the kernel did not take all that was sent together', () => {
    const { connection, socket, sink } = connected();
    socket.bufferedBytes = 1;
    sink.write(event('a'));
    sink.write(event('b'));
    connection.flush();
    expect(sink.ready()).toBe(false);
  });

  it('bounds the bytes of one turn, and tells of room once they are sent', () => {
    const { connection, calls, sink } = connected(100);
    sink.write(event('x'.repeat(200)));
    expect(sink.ready()).toBe(false);
    connection.flush();
    expect(calls).toEqual(['drained']);
  });

  it('closes with a code to come back when the engine dropped a message', () => {
    const { connection, socket, calls, sink } = connected();
    socket.next = 'dropped';
    sink.write(event('a'));
    connection.flush();
    expect(meansReconnect(socket.closedWith ?? 0)).toBe(true);
    expect(calls).toEqual(['close']);
  });

  it('makes the marked form of an event once for all who use the same mark', () => {
    const { sink, connection, socket } = connected();
    const marked = sinkOf(connection, 1, () => undefined);
    const shared = event('a');
    expect(shared.bytes('{"sub":1,')).toBe(shared.bytes('{"sub":1,'));
    sink.write(shared);
    marked.write(shared);
    connection.flush();
    expect(socket.sent[1]).toBe('{"sub":1,"type":"put","value":"a"}');
  });
});

it('has a close code of one of the two kinds for every error', () => {
  for (const code of Object.values(CLOSE_CODES)) {
    expect(code >= 4000 && code <= 4999).toBe(true);
  }
  expect(meansReconnect(CLOSE_CODES.SHUTTING_DOWN)).toBe(true);
  expect(meansReconnect(CLOSE_CODES.POSITION_UNKNOWN)).toBe(true);
  expect(meansReconnect(CLOSE_CODES.ACCESS_DENIED)).toBe(false);
});

describe('a connection whose engine sends to many at once', () => {
  it('sends what waits before it enters a crowd', () => {
    const { socket, sink, crowdSink } = crowded();
    sink.write(event('a'));
    expect(crowdSink.enter('t')).toBe(true);
    expect(socket.sent.map((text) => text.slice(0, 6))).toEqual(['{"type', 'joined']);
  });

  it('enters no crowd without room, nor more than its bound', () => {
    const { socket, sink, crowdSink } = crowded();
    for (let n = 0; n < LIMITS.crowdsOfSocketMax; n += 1) {
      expect(crowdSink.enter(`t${n}`)).toBe(true);
    }
    expect(crowdSink.enter('one more')).toBe(false);
    crowdSink.leave('t0');
    socket.next = 'buffered';
    sink.write(event('a'));
    expect(crowdSink.enter('t0')).toBe(false);
    expect(socket.topics.has('t0')).toBe(false);
  });

  it('leaves its crowds as soon as something it is sent by itself has to wait', () => {
    const { connection, socket, calls, sink, crowdSink } = crowded();
    crowdSink.enter('t');
    socket.next = 'buffered';
    sink.write(event('a'));
    connection.flush();
    expect(calls).toEqual(['leaveCrowd']);
    expect(crowdSink.hasRoom()).toBe(false);
  });

  it('has no room while the engine holds bytes for it', () => {
    const { connection, socket, crowdSink } = crowded();
    expect(crowdSink.hasRoom()).toBe(true);
    socket.bufferedBytes = 1;
    expect(crowdSink.hasRoom()).toBe(false);
    socket.bufferedBytes = 0;
    expect(crowdSink.hasRoom()).toBe(false);
    connection.drained();
    expect(crowdSink.hasRoom()).toBe(true);
  });

  it('may be sent unasked by its crowds no more than half of what the engine keeps for it', () => {
    for (const bufferBytesMax of [64, 1_000, 1_000_000]) {
      const { crowdSink } = crowded(bufferBytesMax);
      const most = crowdSink.unaskedBytesMax * LIMITS.crowdsOfSocketMax;
      expect(most).toBeLessThanOrEqual(Math.min(1_000, bufferBytesMax / 2));
    }
  });
});
