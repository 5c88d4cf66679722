/**
 * User properties in the order in which they came, each as often as it came: the codec gathers them
 * by name, which loses the order between names, and an empty value before another of its name. They
 * must go on as they are, and the codec knows no way to say so: they are read from the bytes of a
 * packet, which the codec has found to be whole, and written into one that it made without them.
 */
import type { Packet } from 'mqtt-packet';

/** Names and values in turn. */
export type UserProperties = readonly string[];

const USER_PROPERTY = 0x26;
const WILL_FLAG = 0x04;
/** [MQTT5 §2.2.2.2] What follows each identifier. */
const BYTE = new Set([0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a]);
const TWO_BYTES = new Set([0x13, 0x21, 0x22, 0x23]);
const FOUR_BYTES = new Set([0x02, 0x11, 0x18, 0x27]);
const VARIABLE = 0x0b;

/** Puts them in the place of what the codec made of them, where they go on to subscribers. */
export function keepUserProperties(packet: Packet, bytes: Buffer): void {
  if (packet.cmd === 'publish') replace(packet.properties, () => publishUserProperties(bytes));
  if (packet.cmd === 'connect') replace(packet.will?.properties, () => willUserProperties(bytes));
}

function replace(
  properties: { userProperties?: unknown } | undefined,
  read: () => UserProperties,
): void {
  if (properties?.userProperties !== undefined) properties.userProperties = read();
}

/** Those of a PUBLISH [MQTT5-3.3.2-18]. */
export const publishUserProperties = (bytes: Buffer): UserProperties =>
  listAt(bytes, propertiesOfPublish(bytes));

/** Those of the will in a CONNECT that has one [MQTT5-3.1.3-10]. */
export function willUserProperties(bytes: Buffer): UserProperties {
  const flags = afterText(bytes, afterNumber(bytes, 1)) + 1;
  if (((bytes[flags] ?? 0) & WILL_FLAG) === 0) return [];
  // Behind the flags the keep alive, the properties of the connection, and the client identifier.
  const properties = flags + 3;
  const clientId = afterNumber(bytes, properties) + numberAt(bytes, properties);
  return listAt(bytes, afterText(bytes, clientId));
}

/** The same PUBLISH with those behind the properties that it has. */
export function withUserProperties(publish: Buffer, properties: UserProperties): Buffer {
  const body = afterNumber(publish, 1);
  const length = propertiesOfPublish(publish);
  const first = afterNumber(publish, length);
  const end = first + numberAt(publish, length);
  const more = Buffer.concat([...pairsOf(properties)]);
  const rest = Buffer.concat([
    ...[publish.subarray(body, length), numberBytes(end - first + more.length)],
    ...[publish.subarray(first, end), more, publish.subarray(end)],
  ]);
  return Buffer.concat([publish.subarray(0, 1), numberBytes(rest.length), rest]);
}

/** Where the length of its properties stands: behind the topic and any packet identifier. */
function propertiesOfPublish(bytes: Buffer): number {
  const qos = ((bytes[0] ?? 0) >> 1) & 3;
  return afterText(bytes, afterNumber(bytes, 1)) + (qos === 0 ? 0 : 2);
}

/** `length`: where the length of the properties stands. */
function listAt(bytes: Buffer, length: number): UserProperties {
  const list: string[] = [];
  let at = afterNumber(bytes, length);
  const end = at + numberAt(bytes, length);
  while (at < end) {
    const identifier = bytes[at] ?? 0;
    const value = at + 1;
    at = afterProperty(bytes, identifier, value);
    if (identifier !== USER_PROPERTY) continue;
    list.push(textAt(bytes, value), textAt(bytes, afterText(bytes, value)));
  }
  return list;
}

function afterProperty(bytes: Buffer, identifier: number, at: number): number {
  if (BYTE.has(identifier)) return at + 1;
  if (TWO_BYTES.has(identifier)) return at + 2;
  if (FOUR_BYTES.has(identifier)) return at + 4;
  if (identifier === VARIABLE) return afterNumber(bytes, at);
  // What is left are texts, bytes with their length, and a pair of texts.
  const next = afterText(bytes, at);
  return identifier === USER_PROPERTY ? afterText(bytes, next) : next;
}

const afterText = (bytes: Buffer, at: number): number => at + 2 + bytes.readUInt16BE(at);
const textAt = (bytes: Buffer, at: number): string =>
  bytes.toString('utf8', at + 2, afterText(bytes, at));

/** A variable byte integer [MQTT5 §1.5.5]. */
function numberAt(bytes: Buffer, at: number): number {
  const size = afterNumber(bytes, at) - at;
  let number = 0;
  for (let i = size - 1; i >= 0; i -= 1) number = number * 128 + ((bytes[at + i] ?? 0) & 0x7f);
  return number;
}

function afterNumber(bytes: Buffer, at: number): number {
  let end = at;
  while (((bytes[end] ?? 0) & 0x80) !== 0) end += 1;
  return end + 1;
}

function numberBytes(number: number): Buffer {
  const bytes: number[] = [];
  let left = number;
  do {
    bytes.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.from(bytes);
}

function* pairsOf(properties: UserProperties): Iterable<Buffer> {
  for (const [at, text] of properties.entries()) {
    if (at % 2 === 0) yield Buffer.from([USER_PROPERTY]);
    const bytes = Buffer.from(text);
    yield Buffer.from([bytes.length >> 8, bytes.length & 0xff]);
    yield bytes;
  }
}
