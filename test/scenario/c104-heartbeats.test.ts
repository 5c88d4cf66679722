/**
 * Signs of life over each protocol, and the settings of them: what the node sends to those who are
 * silent, whom it ends for their silence, and that who answers stays.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { publishTo } from '../support/mqtt-limits.ts';
import { CONNECT, MqttPackets } from '../support/mqtt-packets.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

/** The least that uWebSockets.js takes. */
const IDLE_SECONDS = 8;
const KEEP_ALIVE_MAX = 4;
const KEEP_ALIVE_TIMEOUT = 0x8d;
const filesWith = (limits: object) => ({
  'schema.graphql': `
type Item @table @export(public: [read, insert, update, subscribe, publish]) { id: ID @primaryKey }
`,
  'millrace.yaml': JSON.stringify({
    mqtt: { requireAuthentication: false },
    limits: { writeQueueAgeMsMax: '60s', ...limits },
  }),
});
const UPGRADE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

describe.each(['uws', 'node'])('signs of life over %s', { timeout: 60_000 }, (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: filesWith({
        ...{ idleTimeoutSeconds: IDLE_SECONDS, streamHeartbeatSeconds: 1 },
      }),
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(() => node?.dispose());
  const raw = (target: string, fields: readonly string[]): RawConnection => {
    const peer = new RawConnection(node.http);
    peer.send(`${headOf(`GET ${target}`, fields)}\r\n`);
    return peer;
  };

  it('pings sockets, and ends the one that answers nothing', async () => {
    let pings = 0;
    const alive = new WebSocket(`${node.ws}/Item/a`);
    alive.on('ping', () => {
      pings += 1;
    });
    const dead = raw('/Item/a', UPGRADE);
    await until('both', async () => alive.readyState === 1 && dead.text.includes('"delete"'));
    await until('the end of the silent one', () => dead.ended, 50_000);
    expect(pings).toBeGreaterThan(0);
    alive.terminate();
  });

  it('writes comments into silent event streams, again and again', async () => {
    const silent = raw('/Item/b', ['Accept: text/event-stream']);
    await until('three of them', () => silent.text.split('\n:\n').length > 3);
    expect(silent.ended).toBe(false);
    expect(silent.text.match(/^event: /gm)).toHaveLength(1);
    silent.destroy();
  });
});

describe('signs of life over MQTT', { timeout: 60_000 }, () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: filesWith({ mqttKeepAliveSecondsMax: KEEP_ALIVE_MAX }) });
  });
  afterAll(() => node?.dispose());

  it('are what the node says they are, and any packet is one', async () => {
    const asked = async (keepalive: number) => {
      const peer = new MqttPackets(node.mqtt);
      peer.send({ ...CONNECT, keepalive });
      const { properties } = (await peer.next('connack')) ?? {};
      return { peer, told: properties?.serverKeepAlive };
    };
    const lively = await asked(KEEP_ALIVE_MAX);
    const silent = [await asked(1), await asked(0), await asked(600)];
    expect([lively, ...silent].map(({ told }) => told)).toEqual([
      ...[undefined, undefined],
      ...[KEEP_ALIVE_MAX, KEEP_ALIVE_MAX],
    ]);
    let sent = 0;
    await until('the end of all others', () => {
      sent += 1;
      lively.peer.send(publishTo('Item/c', '{}', (sent % 60_000) + 1));
      return silent.every(({ peer }) => peer.ended);
    });
    for (const { peer } of silent) {
      expect((await peer.next('disconnect'))?.reasonCode).toBe(KEEP_ALIVE_TIMEOUT);
    }
    lively.peer.send({ cmd: 'pingreq' });
    expect(await lively.peer.next('pingresp')).toBeDefined();
    lively.peer.destroy();
  });
});
