/** How each limit of MQTT is reached: what a client sends for it, and the reason it is told. */
import type { Packet } from 'mqtt-packet';
import { MqttPackets } from './mqtt-packets.ts';
import { type NodeProcess, until } from './node-process.ts';

/** To be set on the node that is asked. */
export const MQTT_LIMITS = {
  mqttConnectMsMax: '1s',
  mqttConnectBytesMax: '1KiB',
  mqttPacketBytesMax: '16KiB',
  mqttTopicCharsMax: 100,
  mqttFiltersPerPacketMax: 5,
  mqttSubscriptionsPerSessionMax: 2,
  mqttSessionsMax: 40,
  mqttSessionsPerPrincipalMax: 4,
};

export const publishTo = (topic: string, payload = '{"name":"x"}', messageId = 1) =>
  ({
    cmd: 'publish',
    topic,
    payload,
    messageId,
    qos: 1,
    dup: false,
    retain: true,
  }) as const;
export const subscribeTo = (messageId: number, ...topics: readonly string[]) =>
  ({
    cmd: 'subscribe',
    messageId,
    subscriptions: topics.map((topic) => ({ topic, qos: 0 as const })),
  }) as const;
export const PASSWORD = 'a long and quiet river';
export const signedInAs = (username: string) => ({
  username,
  password: Buffer.from(PASSWORD),
});

/** What a client is told that has connected and sends this; the reason it is closed with. */
export async function told(node: NodeProcess, ...packets: readonly (Packet | Buffer)[]) {
  const peer = new MqttPackets(node.mqtt);
  await peer.connect();
  peer.send(...packets);
  const { reasonCode } = (await peer.next('disconnect')) ?? {};
  peer.destroy();
  return reasonCode;
}

/** The first reason of many publishes, sent at once, which is not success. */
async function publishRush(peer: MqttPackets): Promise<unknown> {
  const many = Array.from({ length: 60 }, (_, i) => publishTo('Item/rush', '{"name":"x"}', i + 1));
  peer.send(...many);
  for (const _ of many) {
    const reason = (await peer.next('puback'))?.reasonCode;
    if (reason !== 0) return reason;
  }
  return 0;
}

export async function rushOver(node: NodeProcess, from: string | undefined, options: object = {}) {
  const peer = new MqttPackets(node.mqtt, from);
  const refused = await peer.connect(options);
  if (refused !== 0) return `refused: ${String(refused)}`;
  const reason = await publishRush(peer);
  peer.destroy();
  return reason;
}

/** A record that the structure forbids, as a message to be kept. */
export async function publishOnce(node: NodeProcess, record: unknown): Promise<unknown> {
  const peer = new MqttPackets(node.mqtt);
  await peer.connect();
  peer.send(publishTo('Item/deep', JSON.stringify(record)));
  const reason = (await peer.next('puback'))?.reasonCode;
  peer.destroy();
  return reason;
}

export async function mqttCrowd(node: NodeProcess): Promise<unknown> {
  const peers: MqttPackets[] = [];
  let last: unknown;
  for (let i = 0; i < 8; i += 1) {
    const peer = new MqttPackets(node.mqtt, '127.0.0.6');
    peers.push(peer);
    last = await peer.connect();
  }
  for (const peer of peers) peer.destroy();
  return last;
}

/** The same credentials again and again, which are shown in CONNECT only. */
export async function connectRush(node: NodeProcess): Promise<unknown> {
  const peers = Array.from({ length: 60 }, () => new MqttPackets(node.mqtt));
  const shown = { username: 'x', password: Buffer.from('mrk_not-a-key') };
  const reasons = await Promise.all(peers.map((peer) => peer.connect(shown)));
  for (const peer of peers) peer.destroy();
  return reasons.includes(0x89);
}

/** Asks for a session that outlives its connection, for a little. */
export const LEFT_BEHIND = { properties: { sessionExpiryInterval: 1 } };

/** The limit that one of so many sessions, held at once, is refused by. */
export async function sessionsUntilFull(
  node: NodeProcess,
  count: number,
  options: object = {},
): Promise<string | undefined> {
  const peers = Array.from({ length: count }, () => new MqttPackets(node.mqtt));
  const reasons = await Promise.all(peers.map((peer) => peer.connect(options)));
  const said = peers[reasons.indexOf(0x97)]?.bytes ?? '';
  for (const peer of peers) peer.destroy();
  return /limits\.(\w+)/.exec(said)?.[1];
}

/** Subscriptions of one user on as many connections, of whom each may have two. */
export const subscribeTwice = (node: NodeProcess) => subscribeOnTwo(node, signedInAs('bob'));

/** The same of whoever signed in as nobody and would leave them behind. */
export const subscribeUnnamed = (node: NodeProcess) => subscribeOnTwo(node, LEFT_BEHIND);

async function subscribeOnTwo(node: NodeProcess, options: object): Promise<unknown> {
  const peers = [new MqttPackets(node.mqtt), new MqttPackets(node.mqtt)];
  const granted: unknown[] = [];
  for (const [index, peer] of peers.entries()) {
    await peer.connect(options);
    peer.send(subscribeTo(1, `Item/${index}a`, `Item/${index}b`));
    granted.push(...((await peer.next('suback'))?.granted ?? []));
  }
  for (const peer of peers) peer.destroy();
  return granted;
}

const mqttOnly = (reach: (node: NodeProcess) => Promise<unknown>, shows: unknown) => ({
  reach,
  shows,
});

/** How each limit that only MQTT has is reached. */
export const mqttCells = {
  mqttConnectMsMax: mqttOnly(async (node) => {
    const silent = new MqttPackets(node.mqtt);
    await until('the silent one to be cut', () => silent.ended, 20_000);
    return silent.received;
  }, []),
  mqttConnectBytesMax: mqttOnly(
    (node) => new MqttPackets(node.mqtt).connect({ clientId: 'x'.repeat(2_000) }),
    'closed',
  ),
  mqttPacketBytesMax: mqttOnly((node) => told(node, publishTo('Item/1', 'x'.repeat(20_000))), 0x95),
  mqttTopicCharsMax: mqttOnly((node) => told(node, publishTo(`Item/${'x'.repeat(150)}`)), 0x90),
  mqttFiltersPerPacketMax: mqttOnly(
    (node) => told(node, subscribeTo(1, ...Array.from({ length: 6 }, (_, i) => `Item/${i}`))),
    0x97,
  ),
  mqttSubscriptionsPerSessionMax: mqttOnly(
    async (node) => {
      const peer = new MqttPackets(node.mqtt);
      await peer.connect();
      peer.send(subscribeTo(1, 'Item/1', 'Item/2', 'Item/3'));
      const granted = (await peer.next('suback'))?.granted;
      peer.destroy();
      return granted;
    },
    [0, 0, 0x97],
  ),
  mqttSessionsMax: mqttOnly((node) => sessionsUntilFull(node, 45), 'mqttSessionsMax'),
  mqttSessionsPerPrincipalMax: mqttOnly(
    async (node) => [
      await sessionsUntilFull(node, 5, signedInAs('carol')),
      await sessionsUntilFull(node, 5, LEFT_BEHIND),
    ],
    ['mqttSessionsPerPrincipalMax', 'mqttSessionsPerPrincipalMax'],
  ),
};
