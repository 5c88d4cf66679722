/**
 * What a client may say on `/live`, checked once: subscribe, unsubscribe, follow a presence, write,
 * sign in, ping. Anything else is `REQUEST_MALFORMED` with the reason; `name` or `ack` tells what
 * was meant, when it can.
 */
import { LIMITS } from '../../config/limits.ts';
import type { SubscriptionName } from './connection.ts';
import { parseWishes, type Wishes } from './live-wishes.ts';

/** By which a client knows the answer to what it asked. */
export type AckName = string | number;

export const WRITE_VERBS = ['put', 'patch', 'post', 'delete', 'publish'] as const;
export type WriteVerb = (typeof WRITE_VERBS)[number];

/** Where in the node something is. */
interface Place {
  /** Raw, percent-encoded, beginning with '/'. */
  readonly path: string;
  /** Raw, without '?'. */
  readonly query: string;
}

export interface Subscribe extends Place, Wishes {
  readonly kind: 'subscribe';
  readonly name: SubscriptionName | undefined;
  readonly ack: AckName | undefined;
}

export interface Write extends Place {
  readonly kind: 'write';
  readonly verb: WriteVerb;
  readonly ack: AckName | undefined;
  /** As JSON has it; `undefined` when there is none. */
  readonly value: unknown;
  /** Fields of the request which this would be over HTTP. */
  readonly fields: readonly string[];
}

export type LiveMessage =
  | Subscribe
  | {
      readonly kind: 'unsubscribe';
      readonly name: SubscriptionName;
      readonly ack: AckName | undefined;
    }
  | (Place & {
      readonly kind: 'presence';
      readonly name: SubscriptionName | undefined;
      readonly ack: AckName | undefined;
    })
  | Write
  | {
      readonly kind: 'signIn';
      /** As an `Authorization` field has it. */
      readonly authorization: string;
      readonly ack: AckName | undefined;
    }
  | { readonly kind: 'ping' }
  | Malformed;

interface Malformed {
  readonly kind: 'malformed';
  readonly reason: string;
  readonly name?: SubscriptionName | undefined;
  readonly ack?: AckName | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const NAME_LENGTH_MAX = 64;
const AUTHORIZATION_LENGTH_MAX = 8_192 + 16;
const MERGE_PATCH = 'application/merge-patch+json';

/** `message`: what was decoded, whatever it is. */
export function parseLiveMessage(message: unknown): LiveMessage {
  if (typeof message !== 'object' || message === null) return malformed('not an object');
  const fields = message as Fields;
  if ('subscribe' in fields) return parseSubscribe(fields);
  if ('unsubscribe' in fields) return parseUnsubscribe(fields);
  if ('presence' in fields) return parsePresence(fields);
  if ('token' in fields || 'authorization' in fields) return parseSignIn(fields);
  const verb = WRITE_VERBS.find((one) => one in fields);
  if (verb !== undefined) return parseWrite(verb, fields);
  if ('ping' in fields) return { kind: 'ping' };
  const known = ['subscribe', 'unsubscribe', 'presence', ...WRITE_VERBS, 'token', 'ping'];
  const meant = { name: parseName(fields.as), ack: parseName(fields.ack) };
  return malformed(`a message has one of ${known.join(', ')}`, meant);
}

function parseSubscribe(fields: Fields): LiveMessage {
  const followed = parseFollowed('subscribe', fields);
  if ('kind' in followed) return followed;
  const wishes = parseWishes(fields);
  if (typeof wishes === 'string') return malformed(wishes, followed);
  return { kind: 'subscribe', ...followed, ...wishes };
}

function parseUnsubscribe({ unsubscribe, ack: asked }: Fields): LiveMessage {
  const name = parseName(unsubscribe);
  const ack = parseName(asked);
  if (asked !== undefined && ack === undefined) return malformed(wrongName('ack'), { name });
  if (name === undefined) return malformed('unsubscribe names no one', { ack });
  return { kind: 'unsubscribe', name, ack };
}

function parsePresence(fields: Fields): LiveMessage {
  const followed = parseFollowed('presence', fields);
  return 'kind' in followed ? followed : { kind: 'presence', ...followed };
}

/** What is followed, and the names for it and for the answer. */
function parseFollowed(
  verb: 'subscribe' | 'presence',
  fields: Fields,
): (Place & Pick<Subscribe, 'name' | 'ack'>) | Malformed {
  const name = parseName(fields.as);
  const ack = parseName(fields.ack);
  if (fields.as !== undefined && name === undefined) return malformed(wrongName('as'), { ack });
  if (fields.ack !== undefined && ack === undefined) return malformed(wrongName('ack'), { name });
  const place = parsePlace(fields[verb]);
  if (place === undefined) return malformed(wrongPath(verb), { name, ack });
  return { ...place, name, ack };
}

function parseSignIn({ token, authorization, ack }: Fields): LiveMessage {
  const named = parseName(ack);
  if (ack !== undefined && named === undefined) return malformed(wrongName('ack'));
  const text = token === undefined ? authorization : token;
  if (typeof text !== 'string' || text === '' || text.length > AUTHORIZATION_LENGTH_MAX) {
    return malformed('`token` is a token or key, `authorization` a field as HTTP has it', {
      ack: named,
    });
  }
  const field = token === undefined ? text : `Bearer ${text}`;
  if (!isFieldValue(field)) {
    return malformed('a token has no line ends or control characters', { ack: named });
  }
  return { kind: 'signIn', authorization: field, ack: named };
}

function parseWrite(verb: WriteVerb, fields: Fields): LiveMessage {
  const ack = parseName(fields.ack);
  if (fields.ack !== undefined && ack === undefined) return malformed(wrongName('ack'));
  const place = parsePlace(fields[verb]);
  if (place === undefined) return malformed(wrongPath(verb), { ack });
  if (verb !== 'delete' && !('value' in fields)) return malformed('`value` is missing', { ack });
  const terms = writeFields(verb, fields);
  if (typeof terms === 'string') return malformed(terms, { ack });
  return { kind: 'write', verb, ...place, ack, value: fields.value, fields: terms };
}

/** Conditions and terms as fields of HTTP, or what is wrong with one of them. */
function writeFields(verb: WriteVerb, fields: Fields): readonly string[] | string {
  const { ifMatch, ifNoneMatch, maxAge, format, contentType } = fields;
  const list: string[] = [];
  const texts = { 'if-match': ifMatch, 'if-none-match': ifNoneMatch };
  for (const [name, text] of Object.entries(texts)) {
    if (text === undefined) continue;
    if (typeof text !== 'string' || !isFieldValue(text)) {
      return '`ifMatch` and `ifNoneMatch` are entity tags with their quotes, or *';
    }
    list.push(name, text);
  }
  if (maxAge !== undefined) {
    if (!Number.isSafeInteger(maxAge) || Number(maxAge) < 0) return '`maxAge` is in whole seconds';
    list.push('cache-control', `max-age=${String(maxAge)}`);
  }
  const type = verb === 'patch' && format === 'merge-patch' ? MERGE_PATCH : contentType;
  if (type !== undefined && (typeof type !== 'string' || !isFieldValue(type))) {
    return '`contentType` is a media type';
  }
  if (verb !== 'delete') list.push('content-type', type ?? 'application/json');
  return list;
}

/** [RFC9110 §5.5] Nothing that could end a field, or that HTTP would not carry. */
const isFieldValue = (text: string): boolean => /^[\x20-\x7e\x80-\xff]{0,8300}$/.test(text);

const hasControls = (text: string): boolean => /\p{Cc}|#/u.test(text);

function parsePlace(url: unknown): Place | undefined {
  if (typeof url !== 'string' || !url.startsWith('/')) return undefined;
  if (url.length > LIMITS.urlBytesMax || hasControls(url)) return undefined;
  const mark = url.indexOf('?');
  return mark < 0
    ? { path: url, query: '' }
    : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

function parseName(value: unknown): SubscriptionName | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  return typeof value === 'string' && value.length <= NAME_LENGTH_MAX ? value : undefined;
}

const wrongName = (field: string): string =>
  `\`${field}\` is a number or a text of at most ${NAME_LENGTH_MAX} characters`;
const wrongPath = (field: string): string => `\`${field}\` is a path that begins with /`;

const malformed = (reason: string, meant: Omit<Malformed, 'kind' | 'reason'> = {}): Malformed => ({
  kind: 'malformed',
  reason,
  ...meant,
});
