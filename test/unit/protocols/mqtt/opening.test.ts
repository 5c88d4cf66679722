/** How long a client may take to say CONNECT, and that the node may take longer to answer it. */
import { generate } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../../src/base/errors.ts';
import { LIMITS } from '../../../../src/config/limits.ts';
import type { Channel } from '../../../../src/protocols/mqtt/channel.ts';
import { Connection } from '../../../../src/protocols/mqtt/connection.ts';
import { createCounts } from '../../../../src/protocols/mqtt/counts.ts';
import type { Serving } from '../../../../src/protocols/mqtt/handlers/handler.ts';
import { Turn } from '../../../../src/protocols/mqtt/turn.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const CONNECT = generate({
  ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'a' },
  ...{ clean: true, keepalive: 60 },
});
const CONNACK = 0x20;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

class FakeChannel implements Channel {
  readonly remoteAddress = '127.0.0.1';
  readonly certificate = undefined;
  readonly bufferedBytes = 0;
  readonly written: number[] = [];
  ended = false;
  write(bytes: Uint8Array): boolean {
    this.written.push(...bytes);
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.ended = true;
  }
}

/** Of what serves clients, what is asked before anybody has signed in. */
function opening() {
  const clock = new ManualClock();
  let refuse = (): void => undefined;
  const refused = new NodeError('AUTHENTICATION_REQUIRED', 'who are you?', { blame: 'client' });
  const signIn = () =>
    new Promise((resolve) => {
      refuse = () => resolve({ refused });
    });
  const serving = {
    clock,
    counts: createCounts(),
    signIn,
    turn: new Turn(),
    requireAuthentication: true,
  };
  const channel = new FakeChannel();
  const connection = new Connection(serving as unknown as Serving, channel, () => undefined);
  return { clock, channel, connection, answer: () => refuse() };
}

describe('a connection that opens', () => {
  it('is ended when CONNECT does not come in time', async () => {
    const { clock, channel } = opening();
    clock.advance(LIMITS.mqttConnectMsMax);
    await nextTurn();
    await nextTurn();
    expect(channel.ended).toBe(true);
  });

  it('is heard when CONNECT came in time and the thread was busy until it was over', async () => {
    const { clock, channel, connection } = opening();
    clock.advance(LIMITS.mqttConnectMsMax);
    connection.received(CONNECT);
    await nextTurn();
    await nextTurn();
    expect(channel.ended).toBe(false);
  });

  it('is answered however long the node takes to know who it is', async () => {
    const { clock, channel, connection, answer } = opening();
    connection.received(CONNECT);
    clock.advance(LIMITS.mqttConnectMsMax * 10);
    await nextTurn();
    expect(channel.ended).toBe(false);
    answer();
    while (!channel.ended) await nextTurn();
    expect(channel.written[0]).toBe(CONNACK);
  });
});
