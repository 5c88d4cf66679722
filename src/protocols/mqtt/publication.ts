/**
 * What a publisher says of a message beside its topic and payload, and how the store keeps it: a
 * JSON object with short names, since it lies with every published record. Expiry is kept as an
 * instant, so that what is left of it can be told at any time [MQTT5 §3.3.2.3.3].
 */
import type { EpochMs } from '../../base/brands.ts';
import type { UserProperties } from './user-properties.ts';

export type QoS = 0 | 1 | 2;

/** The properties that travel with a message unaltered. */
export interface MessageProperties {
  readonly payloadFormatIndicator?: boolean | undefined;
  readonly contentType?: string | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Buffer | undefined;
  readonly userProperties?: UserProperties | undefined;
}

export interface PublicationFacts {
  readonly qos: QoS;
  /** The session that published it, for the option No Local. */
  readonly publisher: string;
  readonly properties: MessageProperties;
  readonly expiresAt?: EpochMs | undefined;
}

interface Packed {
  readonly q: QoS;
  readonly s: string;
  readonly x?: EpochMs;
  readonly f?: boolean;
  readonly t?: string;
  readonly r?: string;
  /** In base64. */
  readonly d?: string;
  /** Gathered by name in what was stored before they were kept in their order. */
  readonly u?: UserProperties | Readonly<Record<string, string | string[]>>;
}

export function packPublication(facts: PublicationFacts): Uint8Array {
  const { properties: given, expiresAt } = facts;
  const packed: Packed = {
    q: facts.qos,
    s: facts.publisher,
    ...(expiresAt === undefined ? {} : { x: expiresAt }),
    ...(given.payloadFormatIndicator === undefined ? {} : { f: given.payloadFormatIndicator }),
    ...(given.contentType === undefined ? {} : { t: given.contentType }),
    ...(given.responseTopic === undefined ? {} : { r: given.responseTopic }),
    ...(given.correlationData === undefined ? {} : { d: given.correlationData.toString('base64') }),
    ...(given.userProperties === undefined ? {} : { u: given.userProperties }),
  };
  return Buffer.from(JSON.stringify(packed));
}

export function unpackPublication(bytes: Uint8Array): PublicationFacts {
  const packed = JSON.parse(Buffer.from(bytes).toString()) as Packed;
  const { q, s, x, f, t, r, d, u } = packed;
  const properties: MessageProperties = {
    ...(f === undefined ? {} : { payloadFormatIndicator: f }),
    ...(t === undefined ? {} : { contentType: t }),
    ...(r === undefined ? {} : { responseTopic: r }),
    ...(d === undefined ? {} : { correlationData: Buffer.from(d, 'base64') }),
    ...(u === undefined ? {} : { userProperties: listOf(u) }),
  };
  return { qos: q, publisher: s, properties, expiresAt: x };
}

const isList = (stored: object): stored is UserProperties => Array.isArray(stored);

function listOf(stored: NonNullable<Packed['u']>): UserProperties {
  if (isList(stored)) return stored;
  return Object.entries(stored).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [name, value]),
  );
}
