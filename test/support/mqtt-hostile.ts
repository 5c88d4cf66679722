/**
 * What clients send over MQTT who mean no good, as a seed decides: sessions of proper packets whose
 * fields are odd, the same with bytes changed, and attacks on what a session may hold.
 */
import { generate, type Packet } from 'mqtt-packet';
import type { Random } from './random.ts';

type Version = 4 | 5;
type Made = (random: Random, version: Version) => Packet;

const TOPICS = [
  ...['open/a', 'open/b', 'Secret/kept', 'Secret/new', 'Secret', 'other', 'open/#', '+/+', '#'],
  ...['$share/g/#', '$share/g/Secret/#', '$share/h/open/+', '$share//x', '$share/g/', '$share/g'],
  ...['$SYS/#', '$share/g/$SYS/#', '$SYS/broker/uptime', '$other/x', '/', '//', '/Secret/kept'],
  ...['+', 'Secret/+', '+/kept', 'Secret/#', 'Secret/#/x', 'a#', 'a/+b', 'nul\u0000', '\ufeff/x'],
  ...['a'.repeat(1_100), 'a/'.repeat(140), '+/'.repeat(126), '__proto__', 'open/__proto__'],
];
const PAYLOADS = [
  '',
  '{"text":"x"}',
  '{',
  '[]',
  'null',
  '{"__proto__":{"a":1}}',
  'x'.repeat(5_000),
];

const text = (random: Random, of: readonly string[]): string => of[random(of.length)] ?? 'x';
const topic = (random: Random): string => text(random, TOPICS);
const payload = (random: Random): Buffer => Buffer.from(text(random, PAYLOADS));
const number = (random: Random): number => [0, 1, 2, 31, 32, 33, 65_535][random(7)] ?? 1;
const yes = (random: Random, oneOf: number): boolean => random(oneOf) === 0;
const identifier = (random: Random): number => 1 + random(12);
const qos = (random: Random): 0 | 1 | 2 => random(3) as 0 | 1 | 2;

/** Some of the properties that a message can have, and one that it cannot. */
function properties(random: Random): object {
  const all: Readonly<Record<string, unknown>> = {
    topicAlias: number(random),
    messageExpiryInterval: random(3),
    responseTopic: topic(random),
    correlationData: Buffer.alloc(random(60)),
    userProperties: { [`k${random(4)}`]: ['v', ''], __proto: 'x', constructor: 'y' },
    contentType: text(random, ['x', 'application/cbor', 'application/json', '\u0000']),
    payloadFormatIndicator: true,
    subscriptionIdentifier: 1,
  };
  return Object.fromEntries(Object.entries(all).filter(() => yes(random, 4)));
}

const acknowledgement =
  (cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'): Made =>
  (random) => ({ cmd, messageId: identifier(random), reasonCode: yes(random, 4) ? 0x80 : 0 });

const PACKETS: readonly Made[] = [
  (random, version) => ({
    ...{ cmd: 'publish', topic: topic(random), payload: payload(random), qos: qos(random) },
    ...{ retain: yes(random, 2), dup: false, messageId: identifier(random) },
    ...(version === 5 ? { properties: properties(random) } : {}),
  }),
  (random, version) => ({
    ...{ cmd: 'subscribe', messageId: identifier(random) },
    subscriptions: Array.from({ length: 1 + random(4) }, () => ({
      ...{ topic: topic(random), qos: qos(random), rh: random(3) as 0 | 1 | 2 },
      ...{ nl: yes(random, 2), rap: yes(random, 2) },
    })),
    ...(version === 5 && yes(random, 2)
      ? { properties: { subscriptionIdentifier: number(random) } }
      : {}),
  }),
  (random) => ({
    ...{ cmd: 'unsubscribe', messageId: identifier(random) },
    unsubscriptions: [topic(random), topic(random)],
  }),
  acknowledgement('puback'),
  acknowledgement('pubrec'),
  acknowledgement('pubrel'),
  acknowledgement('pubcomp'),
  () => ({ cmd: 'pingreq' }),
  (random) => ({
    cmd: 'auth',
    reasonCode: 0x18,
    properties: { authenticationMethod: topic(random) },
  }),
  (random, version) => connectPacket(random, version),
  (random, version) => ({
    cmd: 'disconnect',
    ...(version === 5
      ? {
          reasonCode: yes(random, 2) ? 4 : 0,
          properties: { sessionExpiryInterval: number(random) },
        }
      : {}),
  }),
];

function connectPacket(random: Random, version: Version): Packet {
  const isNew = version === 5;
  const will = {
    ...{ topic: topic(random), payload: payload(random), qos: qos(random), retain: yes(random, 2) },
    ...(isNew ? { properties: { willDelayInterval: random(3) } } : {}),
  };
  return {
    ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, clean: yes(random, 2) },
    clientId: text(random, ['', 'one', 'two', 'three', 'control', 'y'.repeat(300)]),
    keepalive: random(3) * 20,
    ...(yes(random, 2) ? { will } : {}),
    ...(yes(random, 8) ? { username: 'admin', password: Buffer.from('wrong') } : {}),
    ...(isNew
      ? {
          properties: {
            sessionExpiryInterval: random(3),
            receiveMaximum: Math.max(1, number(random)),
            maximumPacketSize: [20, 200, 100_000][random(3)] ?? 20,
            topicAliasMaximum: number(random),
          },
        }
      : {}),
  } as Packet;
}

const bytesOf = (packet: Packet, version: Version): Buffer => {
  try {
    return generate(packet, { protocolVersion: version });
  } catch {
    // What the coder refuses to write is made by changing bytes.
    return Buffer.alloc(0);
  }
};

/** A session of up to a dozen packets; of every other one some bytes are changed. */
export function hostileSession(random: Random): Buffer {
  const version = yes(random, 4) ? 4 : 5;
  const parts = yes(random, 15) ? [] : [bytesOf(connectPacket(random, version), version)];
  for (let left = random(12); left > 0; left -= 1) {
    const make = PACKETS[random(PACKETS.length)] ?? connectPacket;
    parts.push(bytesOf(make(random, version), version));
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0 || yes(random, 2)) return bytes;
  for (let left = 1 + random(3); left > 0; left -= 1) bytes[random(bytes.length)] = random(256);
  return bytes;
}

const CONNECT = {
  ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, keepalive: 60 },
} as const;
const opened = (clientId: string, more: object = {}): Buffer =>
  bytesOf({ ...CONNECT, clientId, ...more } as Packet, 5);
const many = (count: number, make: (n: number) => object): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, n) => bytesOf(make(n) as Packet, 5)));
const message = (n: number, more: object) => ({
  ...{ cmd: 'publish', topic: `flood/${n % 50}`, payload: 'x'.repeat(200), messageId: 1 + n },
  ...{ qos: 0, retain: false, dup: false, ...more },
});
const subscribeTo = (n: number, topics: readonly string[], more: object = {}) => ({
  ...{ cmd: 'subscribe', messageId: 1 + n },
  subscriptions: topics.map((each) => ({ topic: each, qos: 2, ...more })),
});
const hundred = (make: (n: number) => string) => Array.from({ length: 100 }, (_, n) => make(n));

/** Attacks on what the node holds for a client, by name; each is one whole session. */
export const ATTACKS: Readonly<Record<string, (n: number) => Buffer>> = {
  'aliases of long topics, beyond what there may be': (n) =>
    Buffer.concat([
      opened(`alias${n}`),
      many(40, (at) =>
        message(at, { topic: `${at}/${'a'.repeat(1_000)}`, properties: { topicAlias: at + 1 } }),
      ),
    ]),
  'messages of QoS 2 that are never released': (n) =>
    Buffer.concat([opened(`two${n}`), many(1_500, (at) => message(at, { qos: 2 }))]),
  'a list of 20,000 user properties': (n) =>
    Buffer.concat([
      opened(`list${n}`),
      many(2, (at) => {
        const pairs = Array.from({ length: 20_000 }, (_, key) => [`${key}`, 'v']);
        return message(at, { properties: { userProperties: Object.fromEntries(pairs) } });
      }),
    ]),
  'a thousand filters and more, all wild': (n) =>
    Buffer.concat([
      opened(`wild${n}`),
      many(14, (at) =>
        subscribeTo(
          at,
          hundred((one) => `${'+/'.repeat(1 + one)}${at}/#`),
        ),
      ),
      many(50, (at) => message(at, { topic: 'flood/'.repeat(100) + at })),
    ]),
  'groups of their own': (n) =>
    Buffer.concat([
      opened(`share${n}`),
      many(9, (at) =>
        subscribeTo(
          at,
          hundred((one) => `$share/g${n}-${at}-${one}/flood/#`),
        ),
      ),
      many(20, (at) => message(at, { qos: 1 })),
    ]),
  'messages in flight that are never acknowledged': (n) =>
    Buffer.concat([
      opened(`flight${n}`, { properties: { receiveMaximum: 65_535, sessionExpiryInterval: 5 } }),
      many(1, (at) => subscribeTo(at, ['flood/#'])),
      many(400, (at) => message(at, { qos: 1 })),
    ]),
  'a record for each message': (n) =>
    Buffer.concat([
      opened(`kept${n}`),
      many(300, (at) => message(at, { topic: `kept/${n % 3}/${at}`, retain: true, qos: 1 })),
    ]),
  'a will each time, and no farewell': (n) =>
    opened('', { will: { topic: `flood/will${n}`, payload: 'gone', qos: 2, retain: true } }),
  'sessions that are never used again': (n) =>
    Buffer.concat([
      opened(`idle${n}`, { clean: false, properties: { sessionExpiryInterval: 5 } }),
      many(1, (at) => subscribeTo(at, ['flood/#'])),
    ]),
};
