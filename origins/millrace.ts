/**
 * Origin kind `millrace`: a table of another Millrace node, the upper tier.
 *
 *   kind: millrace
 *   url: https://upper.example.com:9926/Flight
 *   headers: { authorization: "Basic ${env.UPPER_CREDENTIALS}" }
 *
 * Records come by conditional requests, and are fresh for as long as they still are at the upper
 * node, never longer. Its event stream brings every change as it happens, to resume where it broke
 * off; what cannot have been told (the first time, or when the upper node no longer knows the
 * position) makes all that is held stale. Writes go through to the upper node.
 *
 * Time alone makes a record stale here as it does there, and no event tells of that: so the stream
 * vouches for nothing, and what it brings is asked for once before it counts as fresh.
 * `freshness: live` says that nothing at the upper node becomes stale by time (its table is its
 * own, or has a live feed itself): then nothing is asked while the stream is connected.
 */
import {
  defineOriginKind,
  type FeedContext,
  type FeedEvent,
  type FeedWrite,
  type KindServices,
  type KindSettings,
  type OriginDefinition,
  type OriginResponse,
  type StreamEvent,
} from 'millrace';
import { eventsOf } from './event-source.ts';
import { baseUrl, openHttp } from './http.ts';

export const kind = defineOriginKind({ name: 'millrace', open: openMillrace });

/** The upper node sends a sign of life every 15 seconds. */
const IDLE_MS = 45_000;

function openMillrace(settings: KindSettings, services: KindServices): OriginDefinition {
  const { name, options } = settings;
  const base = baseUrl(settings);
  if (base.pathname === '/') {
    throw new Error(`origin ${name}: url names no table; write ${base.href}Flight, for example`);
  }
  // The upper node names the records and groups an answer is made of when it is asked to.
  const headers = { 'millrace-groups': '1', ...settings.headers };
  const http = openHttp({ ...settings, headers }, services);
  const stream = new URL(base);
  stream.pathname = `${base.pathname.replace(/\/$/, '')}/`;
  const idleMs = typeof options.idle === 'number' ? options.idle : IDLE_MS;
  const source = { url: stream, headers: settings.headers, idleMs };
  const rules = { isLive: options.freshness === 'live' };
  return {
    ...http,
    get: async (id, context) => inherited((await http.get(id, context)) as OriginResponse),
    ...(options.follow === false
      ? {}
      : { subscribe: (context) => follow(eventsOf(source, services, context), rules, context) }),
  };
}

/** A member of the list `Cache-Status`; its strings may hold commas. [RFC9211 §2] */
const MEMBER = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;
const TTL = /;\s*ttl=(-?\d{1,12})\b/;

/**
 * The answer with the freshness that is left of it at the upper node. Its `Cache-Control` is meant
 * for clients, which may be told to ask each time; what the node itself goes by is the `ttl` of its
 * `Cache-Status`, the first of the list if other caches stand between. Without one (the record has
 * no end there) this table's policy decides.
 */
export function inherited(reply: OriginResponse): OriginResponse {
  const { headers } = reply;
  const members = headers.get('cache-status')?.match(MEMBER) ?? [];
  const own = members.find((member) => /^\s*millrace\b/.test(member));
  if (own === undefined) return reply;
  const kept = new Map(headers);
  for (const name of ['cache-control', 'cdn-cache-control', 'expires', 'vary']) kept.delete(name);
  const ttl = TTL.exec(own)?.[1];
  if (ttl !== undefined) {
    const age = Number(headers.get('age') ?? 0) || 0;
    kept.set('cache-control', `max-age=${Math.max(0, age + Number(ttl))}`);
  }
  return { ...reply, headers: kept };
}

interface Rules {
  readonly isLive: boolean;
}

/** What the upper node's stream says, as changes of this node's tables. */
async function* follow(
  stream: AsyncIterable<readonly StreamEvent[]>,
  { isLive }: Rules,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  let isOpen = false;
  for await (const events of stream) {
    if (!isOpen) {
      isOpen = true;
      context.connected({ vouches: isLive });
      // What changed while nobody listened is not known.
      if (context.resumeFrom === undefined) yield inDoubt(context);
    }
    for (const event of events) {
      const told = toldBy(event, isLive, context);
      if (told !== undefined) yield told;
    }
  }
}

/** All that is held is stale from now on; it may be served as such when the policy allows. */
const inDoubt = ({ tables }: FeedContext): FeedEvent => ({
  type: 'transaction',
  writes: tables.map(({ table }) => ({ type: 'invalidate', table, soft: true })),
});

interface Told {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly value?: unknown;
  readonly ids?: unknown;
  readonly values?: unknown;
}

function toldBy(event: StreamEvent, isLive: boolean, context: FeedContext): FeedEvent | undefined {
  const { type, id, value, ids, values } = JSON.parse(event.content) as Told;
  const position = event.lastEventId === '' ? undefined : event.lastEventId;
  // Of a record it is known that it is the newest, but not for how long it will be.
  const times = isLive ? {} : { maxAge: 0 };
  switch (type) {
    case 'reset':
      // Without a position: until the present state has come whole, it would have to come again.
      return inDoubt(context);
    case 'snapshot':
      return everywhere(context, snapshotWrites(ids, values, times), position);
    case 'put':
    case 'enter':
      return everywhere(context, [{ type: 'put', id, value, ...times }], position);
    case 'invalidate':
      return everywhere(context, [{ type, ...(id === null ? {} : { id }) }], position);
    case 'delete':
    case 'leave':
      return everywhere(context, [{ type: 'delete', id }], position);
    case 'patch':
    case 'message':
      return everywhere(context, [{ type, id, value }], position);
    default:
      return undefined;
  }
}

/** The rows that the upper node holds. */
function snapshotWrites(ids: unknown, values: unknown, times: object): readonly object[] {
  if (!Array.isArray(ids) || !Array.isArray(values)) return [];
  return ids.map((id, at) => ({ type: 'put', id, value: values[at], ...times }));
}

/**
 * The same for every table over this origin, committed together. The feed's runner checks every
 * write before it is applied: nothing here vouches for the types.
 */
function everywhere(
  { tables }: FeedContext,
  writes: readonly object[],
  position: string | undefined,
): FeedEvent {
  const all = tables.flatMap(({ table }) => writes.map((write) => ({ ...write, table })));
  return { type: 'transaction', writes: all as unknown as readonly FeedWrite[], position };
}
