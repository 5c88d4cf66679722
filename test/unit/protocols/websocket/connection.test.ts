/**
 * One connection over a socket of the test's own: gathering, fullness, loss.
 */
import { describe, expect, it } from 'vitest';
import type { Position } from '../../../../src/base/brands.ts';
import { EncodedEvent } from '../../../../src/feed/event.ts';
import type { Subscription } from '../../../../src/feed/subscriber.ts';
import type { SendResult, Socket } from '../../../../src/protocols/http/port.ts';
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
}

function connected(conflateBytesMax = 1_000) {
  const dirty: Connection[] = [];
  const connection = new Connection({ conflateBytesMax, flushLater: (one) => dirty.push(one) });
  const socket = new FakeSocket();
  connection.opened(socket);
  const calls: string[] = [];
  const subscription: Subscription = {
    stage: 'live',
    begin: () => calls.push('begin'),
    drained: () => calls.push('drained'),
    close: () => calls.push('close'),
  };
  const sink = sinkOf(connection, undefined, () => undefined);
  connection.hold(1, { subscription, resource: '/x', judgeAgain: () => undefined });
  return { connection, socket, dirty, calls, sink };
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
