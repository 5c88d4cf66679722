/**
 * CONNECT [MQTT5 §3.1, §3.1.4]: who it is, which session it has, and what both sides may do. The
 * session of a client that is still connected is taken over.
 */
import { randomUUID } from 'node:crypto';
import type { ClientCertificate } from '../../../access/asking.ts';
import type { DurationMs, Sequence } from '../../../base/brands.ts';
import { HOW_TO_SIGN_IN } from '../../../base/refusals.ts';
import { LIMITS, type LimitName } from '../../../config/limits.ts';
import { type Guest, mayNot } from '../access.ts';
import { Client, type ClientParts } from '../client.ts';
import { encodePacket } from '../codec.ts';
import { limitHit } from '../counts.ts';
import type { Outbox } from '../outbox.ts';
import type { ProtocolLevel } from '../publish-encoder.ts';
import { REASON, REASONS, type Reason, returnCode } from '../reasons.ts';
import type { Session, SessionParts, Will } from '../session.ts';
import { expirySecondsWithin } from '../sessions.ts';
import { NO_WISHES, wishesOf } from '../wishes.ts';
import type { PacketOf, Serving } from './handler.ts';
import { kept } from './publish.ts';

type Connect = PacketOf<'connect'>;

/** What a connection gives to whoever signs in over it. */
export interface ConnectContext {
  readonly serving: Serving;
  readonly outbox: Outbox;
  readonly remoteAddress: string;
  readonly certificate: ClientCertificate | undefined;
  readonly isOpen: () => boolean;
  readonly close: (reason: Reason, text: string) => void;
}

export interface Connected {
  readonly client: Client;
  /** Seconds without a packet after which the client counts as gone, times 1.5; 0: never. */
  readonly keepAliveSeconds: number;
}

/** `undefined`: it was refused, and told so; the connection is to be closed. */
export async function handleConnect(
  context: ConnectContext,
  packet: Connect,
): Promise<Connected | undefined> {
  const level = levelOf(packet);
  const refuse = (reason: Reason, text: string): undefined => {
    context.outbox.push(encodePacket(refusal(level, reason, text), level));
  };
  if (packet.properties?.authenticationMethod !== undefined) {
    return refuse(REASON.badAuthenticationMethod, 'enhanced authentication is not spoken here');
  }
  if (packet.clientId === '' && level < 5 && packet.clean !== true) {
    return refuse(REASON.clientIdentifierNotValid, 'a session needs a client identifier');
  }
  const signedIn = await context.serving.signIn({
    username: packet.username,
    password: packet.password?.toString('utf8'),
    remoteAddress: context.remoteAddress,
    certificate: context.certificate,
  });
  if (!context.isOpen()) return undefined;
  if ('refused' in signedIn) {
    const { code, message } = signedIn.refused;
    const reason =
      code === 'AUTHENTICATION_REQUIRED' ? REASON.badUserNameOrPassword : REASONS[code];
    return refuse(reason, message);
  }
  const { guest } = signedIn;
  if (guest.name === '' && context.serving.requireAuthentication) {
    return refuse(REASON.notAuthorized, `sign in with ${HOW_TO_SIGN_IN}, or with a certificate`);
  }
  const problem = willProblem(context.serving, guest, packet);
  if (problem !== undefined) return refuse(problem.reason, problem.text);
  return await welcome(context, packet, guest, refuse);
}

const levelOf = ({ protocolVersion = 4 }: Connect): ProtocolLevel => protocolVersion;

function refusal(level: ProtocolLevel, reason: Reason, text: string): PacketOf<'connack'> {
  if (level < 5) return { cmd: 'connack', sessionPresent: false, returnCode: returnCode(reason) };
  const properties = { reasonString: text };
  return { cmd: 'connack', sessionPresent: false, reasonCode: reason, properties };
}

function willProblem({ topics }: Serving, guest: Guest, { will }: Connect) {
  if (will === undefined) return undefined;
  // Code is asked when it is published: what it says then is not known yet.
  const verb = will.retain === true ? 'put' : 'message';
  if (guest.codeAt(will.topic)?.takes.has(verb) === true) return undefined;
  const located = will.topic.startsWith('$') ? undefined : topics.locate(will.topic);
  if (located === undefined) {
    return {
      reason: REASON.topicNameInvalid,
      text: `no table takes the will's topic ${JSON.stringify(will.topic)}: name it Table/key`,
    };
  }
  // A record is judged when it is written: what it is before is not known yet.
  if (will.retain === true || guest.may('publish', located.table, located.id)) return undefined;
  return { reason: REASON.notAuthorized, text: mayNot(guest, 'publish', will.topic) };
}

async function welcome(
  context: ConnectContext,
  packet: Connect,
  guest: Guest,
  refuse: (reason: Reason, text: string) => undefined,
): Promise<Connected | undefined> {
  const { serving } = context;
  const clientId = packet.clientId === '' ? randomUUID() : packet.clientId;
  const holder = holderOf(guest, packet, context.remoteAddress);
  const opened = openSession(serving, packet, guest, { clientId, holder });
  if ('full' in opened) {
    limitHit(serving.counts, opened.full);
    const text = opened.full === 'mqttSessionsMax' ? 'the node holds' : HOLDER_FULL;
    return refuse(
      REASON.quotaExceeded,
      `${text} no more sessions (limits.${opened.full}): end some, or come back later`,
    );
  }
  const { session, isPresent } = opened;
  const asked = askedExpiry(packet);
  session.expirySeconds = expirySecondsWithin(asked);
  session.will = willOf(guest, packet);
  await serving.keeper.keep(session);
  if (!context.isOpen()) {
    serving.sessions.away(session);
    return undefined;
  }
  session.address = context.remoteAddress;
  const client = new Client(clientParts(context, packet, guest, session));
  const keepAliveSeconds = keepAliveOf(packet);
  client.answer(connack(packet, { client, clientId, isPresent, keepAliveSeconds, asked }));
  session.connected(client);
  serving.sessions.present(session);
  serving.snapshots.wake(session);
  serving.codeFeeds.resume(session);
  return { client, keepAliveSeconds };
}

const HOLDER_FULL = 'a user, or an address without one, holds';

/** The address has a sign before it that no name of a user has. */
const holderOf = ({ name }: Guest, packet: Connect, remoteAddress: string): string =>
  name === '' && askedExpiry(packet) > 0 ? `\n${remoteAddress}` : name;

function openSession(
  serving: Serving,
  packet: Connect,
  guest: Guest,
  { clientId, holder }: Pick<SessionParts, 'clientId' | 'holder'>,
): { session: Session; isPresent: boolean } | { full: LimitName } {
  const { sessions, wills, dispatch } = serving;
  const key = `${guest.name}\n${clientId}`;
  // [MQTT5-3.1.4-3]
  sessions.find(key)?.end(REASON.sessionTakenOver, 'another client uses this identifier');
  const old = sessions.find(key);
  if (old !== undefined && packet.clean === true) sessions.end(old);
  else if (old !== undefined && dispatch.hasLost(old)) sessions.lost(old);
  const known = sessions.find(key);
  if (known !== undefined) wills.cancel(known);
  const cursor = dispatch.now();
  const full = known === undefined ? sessions.fullFor(holder) : undefined;
  const facts = { key, clientId, owner: guest.name, holder, cursor };
  const session = known ?? newSession(serving, facts);
  if (session === undefined) return { full: full ?? 'mqttSessionsMax' };
  session.guest = guest;
  return { session, isPresent: known !== undefined };
}

/** What a session is kept with. */
type Kept = 'key' | 'clientId' | 'owner' | 'holder';

/** `undefined`: there is no room for it. */
export function newSession(
  { sessions, dispatch, clock, snapshots, codeFeeds, counts, observeLag }: Serving,
  facts: Pick<SessionParts, Kept> & { readonly cursor: Sequence },
): Session | undefined {
  const { key, clientId, owner, holder, cursor } = facts;
  const parts: SessionParts = {
    // Written out, since an object made by a spread has a shape of its own each time: what is read
    // of it for each delivery would be looked up anew.
    key,
    clientId,
    owner,
    holder,
    now: () => clock.now(),
    onRoom: (session) => {
      dispatch.wake(session);
      for (const group of session.groups.values()) sessions.handOut(group);
      snapshots.wake(session);
      codeFeeds.wake(session);
    },
    onLost: (session) => sessions.lost(session),
    onSent: ({ parts: sent }) => {
      counts.messagesSent += 1;
      if (sent.sequence !== undefined) observeLag((clock.now() - sent.at) as DurationMs);
    },
  };
  return sessions.create(parts, cursor);
}

/** 3.1.1 knows sessions that end with the connection and such that do not. */
function askedExpiry({ protocolVersion, clean, properties }: Connect): number {
  if (protocolVersion === 5) return properties?.sessionExpiryInterval ?? 0;
  return clean === true ? 0 : LIMITS.mqttSessionExpirySecondsMax;
}

function willOf({ verified }: Guest, { will }: Connect): Will | undefined {
  if (will === undefined) return undefined;
  const { topic, payload, qos = 0, retain = false, properties } = will;
  return {
    ...{ topic, qos, retain },
    sender: verified ?? 'nobody',
    payload: typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload),
    delaySeconds: properties?.willDelayInterval ?? 0,
    expirySeconds: properties?.messageExpiryInterval,
    properties: kept(properties),
  };
}

const userPropertiesOf = ({ properties }: Connect) =>
  properties?.userProperties as Parameters<typeof wishesOf>[0];

const PACKET_BYTES_MAX = 268_435_460;
const RECEIVE_MAXIMUM = 65_535;

function clientParts(
  { serving, outbox, close }: ConnectContext,
  packet: Connect,
  guest: Guest,
  session: Session,
): ClientParts {
  const { properties } = packet;
  return {
    level: levelOf(packet),
    guest,
    session,
    outbox,
    close,
    wishes: levelOf(packet) === 5 ? wishesOf(userPropertiesOf(packet)) : NO_WISHES,
    positionOfChange: (at) => serving.dispatch.positionOfChange(at),
    sayToCode: (topic, message) => serving.codeFeeds.hear(session, topic, message),
    receiveMaximum: properties?.receiveMaximum ?? RECEIVE_MAXIMUM,
    packetBytesMax: properties?.maximumPacketSize ?? PACKET_BYTES_MAX,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    wantsReasons: properties?.requestProblemInformation !== false,
    askedExpirySeconds: askedExpiry(packet),
  };
}

/** A client of 5.0 can be told of another keep alive [MQTT5 §3.2.2.3.14]. */
function keepAliveOf({ protocolVersion, keepalive = 0 }: Connect): number {
  if (protocolVersion !== 5) return keepalive;
  const max = LIMITS.mqttKeepAliveSecondsMax;
  return keepalive === 0 ? max : Math.min(keepalive, max);
}

interface Welcome {
  readonly client: Client;
  readonly clientId: string;
  readonly isPresent: boolean;
  readonly keepAliveSeconds: number;
  readonly asked: number;
}

function connack(packet: Connect, welcomed: Welcome): PacketOf<'connack'> {
  const { client, clientId, isPresent, keepAliveSeconds, asked } = welcomed;
  if (client.level < 5) return { cmd: 'connack', sessionPresent: isPresent, returnCode: 0 };
  const { expirySeconds } = client.session;
  return {
    cmd: 'connack',
    sessionPresent: isPresent,
    reasonCode: REASON.success,
    properties: {
      receiveMaximum: LIMITS.mqttReceiveMaximum,
      maximumPacketSize: LIMITS.mqttPacketBytesMax,
      topicAliasMaximum: LIMITS.mqttTopicAliasMaximum,
      ...(packet.clientId === '' ? { assignedClientIdentifier: clientId } : {}),
      ...(expirySeconds === asked ? {} : { sessionExpiryInterval: expirySeconds }),
      ...(keepAliveSeconds === packet.keepalive ? {} : { serverKeepAlive: keepAliveSeconds }),
    },
  };
}
