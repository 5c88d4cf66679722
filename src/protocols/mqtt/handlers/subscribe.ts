/**
 * SUBSCRIBE [MQTT5 §3.8]: each filter is allowed or refused by itself, and remembered before it is
 * granted; the retained messages come after the SUBACK.
 */
import { asNodeError } from '../../../base/errors.ts';
import { LIMITS, type LimitName } from '../../../config/limits.ts';
import { mayNot } from '../access.ts';
import type { Client } from '../client.ts';
import type { CodeTopic } from '../code-topic.ts';
import { limitHit } from '../counts.ts';
import type { QoS } from '../publication.ts';
import { ackReason, REASON, REASONS } from '../reasons.ts';
import type { Subscription } from '../subscription-tree.ts';
import { isSystemFilter } from '../system-topics.ts';
import { sharedFilter } from '../topics.ts';
import type { PacketOf, Serving } from './handler.ts';

type Subscribe = PacketOf<'subscribe'>;
type Asked = Subscribe['subscriptions'][number];

/** Retain handling [MQTT5 §3.8.3.1]. */
const RETAINED = { always: 0, ifNew: 1, never: 2 } as const;

export async function handleSubscribe(
  serving: Serving,
  client: Client,
  { messageId = 0, subscriptions, properties }: Subscribe,
): Promise<void> {
  const { session } = client;
  const granted: number[] = [];
  const withRetained: Subscription[] = [];
  const ofCode: [Subscription, CodeTopic][] = [];
  let text = '';
  const paced = client.guest.pace('subscribe');
  for (const asked of subscriptions) {
    const code = codeOf(client, asked);
    const refusal =
      paced === undefined
        ? (quotaRefusal(serving, client, asked) ??
          (code === undefined
            ? refusalOf(serving, client, asked)
            : await barred(client, asked, code)))
        : { reason: ackReason(REASONS[paced.code]), text: paced.message };
    // It may have gone while code was asked.
    if (session.wire !== client) return;
    if (refusal !== undefined) {
      granted.push(client.level === 5 ? refusal.reason : REASON.unspecified);
      text = refusal.text;
      continue;
    }
    const subscription = subscriptionOf(asked, properties?.subscriptionIdentifier);
    const isNew = !session.subscriptions.has(asked.topic);
    serving.sessions.subscribe(session, subscription);
    if (code !== undefined) ofCode.push([subscription, code]);
    else if (wantsRetained(asked, isNew)) withRetained.push(subscription);
    granted.push(asked.qos);
  }
  await serving.keeper.keep(session);
  client.answer({ cmd: 'suback', messageId, granted, ...client.reasonString(text) });
  for (const [subscription, code] of ofCode) {
    serving.codeFeeds.begin(session, subscription, code);
  }
  for (const subscription of withRetained) serving.snapshots.add(session, subscription);
  const isTold = (at: number) => isSystemFilter(subscriptions[at]?.topic ?? '');
  if (granted.some((code, at) => code < REASON.unspecified && isTold(at))) {
    serving.system.follow(session);
  }
}

interface Refusal {
  readonly reason: number;
  readonly text: string;
}

function refusalOf(serving: Serving, client: Client, asked: Asked): Refusal | undefined {
  const { topic, nl } = asked;
  const shared = sharedFilter(topic);
  const filter = shared?.filter ?? topic;
  if (shared !== undefined && nl === true) {
    // [MQTT5-3.8.3-4]
    return { reason: REASON.unspecified, text: 'a shared subscription cannot be No Local' };
  }
  if (maySubscribe(serving, client, filter)) return undefined;
  client.guest.denied(`subscribe to ${topic}`);
  return { reason: REASON.unspecified, text: mayNot(client.guest, 'subscribe', topic) };
}

/** What is followed of application code: a share of it would be a stream for each member. */
function codeOf({ guest }: Client, { topic }: Asked): CodeTopic | undefined {
  const code = guest.codeAt(sharedFilter(topic)?.filter ?? topic);
  return code?.follows === true ? code : undefined;
}

async function barred(
  { guest }: Client,
  { topic }: Asked,
  code: CodeTopic,
): Promise<Refusal | undefined> {
  if (sharedFilter(topic) !== undefined) {
    const text = `${code.path} is a stream of the application: it is not shared`;
    return { reason: REASON.sharedSubscriptionsNotSupported, text };
  }
  try {
    await code.admit();
    return undefined;
  } catch (thrown) {
    const { code: why, message } = asNodeError(code.failure(thrown));
    const isDenied = REASONS[why] === REASON.notAuthorized;
    if (isDenied) guest.denied(`subscribe to ${topic}`);
    // As for records: 0x80 says that it is not allowed, and the reason string why.
    return { reason: isDenied ? REASON.unspecified : ackReason(REASONS[why]), text: message };
  }
}

/** Of what a session, and its holder on all sessions, may hold. */
function quotaRefusal(
  { sessions, counts }: Serving,
  { session }: Client,
  { topic }: Asked,
): Refusal | undefined {
  if (session.subscriptions.has(topic)) return undefined;
  const { mqttSubscriptionsPerSessionMax: most, subscriptionsPerPrincipalMax } = LIMITS;
  const { holder } = session.parts;
  const { subscriptions } = session;
  if (subscriptions.size >= most) {
    limitHit(counts, 'mqttSubscriptionsPerSessionMax');
    return {
      reason: REASON.quotaExceeded,
      text: tooMany('a session', most, 'mqttSubscriptionsPerSessionMax'),
    };
  }
  if (holder === '' || sessions.heldBy(holder) < subscriptionsPerPrincipalMax) return undefined;
  limitHit(counts, 'subscriptionsPerPrincipalMax');
  const who = 'a user, or an address without one,';
  const text = tooMany(who, subscriptionsPerPrincipalMax, 'subscriptionsPerPrincipalMax');
  return { reason: REASON.quotaExceeded, text };
}

const tooMany = (who: string, most: number, limit: LimitName): string =>
  `${who} holds at most ${most} subscriptions (limits.${limit}): end some, or use wildcards`;

/** A topic is judged as it is; under a wildcard each message is, when it comes. */
function maySubscribe({ topics }: Serving, { guest }: Client, filter: string): boolean {
  if (isSystemFilter(filter)) return guest.maySeeSystem();
  if (/[+#]/.test(filter)) return guest.maySubscribe(topics.tablesUnder(filter));
  const located = topics.locate(filter);
  return located !== undefined && guest.may('subscribe', located.table, located.id);
}

function subscriptionOf(asked: Asked, id: number | undefined): Subscription {
  const { topic, qos, nl, rap } = asked;
  return {
    written: topic,
    filter: sharedFilter(topic)?.filter ?? topic,
    qos: qos as QoS,
    noLocal: nl === true,
    retainAsPublished: rap === true,
    id,
  };
}

function wantsRetained({ topic, rh = RETAINED.always }: Asked, isNew: boolean): boolean {
  if (sharedFilter(topic) !== undefined) return false;
  return rh === RETAINED.always || (rh === RETAINED.ifNew && isNew);
}
