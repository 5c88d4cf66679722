/**
 * What a client may say on `/live`, parsed once: subscribe and unsubscribe. Anything else is
 * `REQUEST_MALFORMED` with the reason; `sub` tells which subscription was meant, when it can.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { checkJsonStructure } from '../http/json-structure.ts';
import type { SubscriptionName } from './connection.ts';

export type LiveMessage =
  | {
      readonly kind: 'subscribe';
      readonly path: string;
      readonly query: string;
      readonly name: SubscriptionName | undefined;
      readonly from: string | undefined;
      /** Bursts a second. */
      readonly maxRate: number | undefined;
      readonly omitCurrent: boolean;
    }
  | { readonly kind: 'unsubscribe'; readonly name: SubscriptionName }
  | { readonly kind: 'ping' }
  | {
      readonly kind: 'malformed';
      readonly reason: string;
      readonly name: SubscriptionName | undefined;
    };

const NAME_LENGTH_MAX = 64;
const RATE_MAX = 1_000;

export function parseLiveMessage(bytes: Uint8Array): LiveMessage {
  let message: unknown;
  try {
    checkJsonStructure(bytes, { depthMax: LIMITS.jsonDepthMax, keysMax: LIMITS.jsonKeysMax });
    message = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    return malformed(error instanceof NodeError ? error.message : 'not JSON');
  }
  if (typeof message !== 'object' || message === null) return malformed('not an object');
  const fields = message as Record<string, unknown>;
  if ('subscribe' in fields) return parseSubscribe(fields);
  if ('unsubscribe' in fields) {
    const name = parseName(fields.unsubscribe);
    return name === undefined
      ? malformed('unsubscribe names no one')
      : { kind: 'unsubscribe', name };
  }
  if ('ping' in fields) return { kind: 'ping' };
  return malformed('neither subscribe, unsubscribe nor ping');
}

function parseSubscribe(fields: Record<string, unknown>): LiveMessage {
  const { subscribe, as, from, maxRate, omitCurrent } = fields;
  const name = parseName(as);
  if (as !== undefined && name === undefined) {
    return malformed(`\`as\` is a number or a text of at most ${NAME_LENGTH_MAX} characters`);
  }
  if (typeof subscribe !== 'string' || !subscribe.startsWith('/')) {
    return malformed('`subscribe` is a path that begins with /', name);
  }
  if (from !== undefined && typeof from !== 'string') return malformed('`from` is a text', name);
  const rate = parseRate(maxRate);
  if (maxRate !== undefined && rate === undefined) {
    return malformed(`\`maxRate\` is a number above 0 and at most ${RATE_MAX}`, name);
  }
  const [path = '/', query = ''] = splitOnce(subscribe);
  const omit = omitCurrent === true;
  return { kind: 'subscribe', path, query, name, from, maxRate: rate, omitCurrent: omit };
}

function splitOnce(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

function parseName(value: unknown): SubscriptionName | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  return typeof value === 'string' && value.length <= NAME_LENGTH_MAX ? value : undefined;
}

function parseRate(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value <= RATE_MAX ? value : undefined;
}

const malformed = (reason: string, name?: SubscriptionName): LiveMessage => ({
  kind: 'malformed',
  reason,
  name,
});
