/**
 * The `feed:` of an origin's file: where a live feed is, and how its events become changes of
 * records. Also the names of the origin kinds, of which a feed has one.
 */
import type { ProblemList } from '../schema/problem.ts';
import { type JsonPath, parseJsonPath } from './json-path.ts';
import {
  count,
  listOf,
  mapOf,
  nonEmpty,
  oneOf,
  type Partly,
  type Reader,
  scalar,
  shape,
} from './readers.ts';
import { plainOf, type SettingNode } from './setting-node.ts';

export const ORIGIN_KINDS = [
  'http',
  'sse',
  'websocket',
  'mqtt',
  'nats',
  'postgres',
  'millrace',
  'module',
] as const;
export type OriginKindName = (typeof ORIGIN_KINDS)[number];

/** The kinds that can stream. */
export const FEED_KINDS = ['sse', 'websocket', 'mqtt', 'nats', 'postgres', 'millrace'] as const;
export type FeedKindName = (typeof FEED_KINDS)[number];

export const FEED_EVENTS = ['put', 'patch', 'delete', 'invalidate', 'message', 'ignore'] as const;
export type FeedEventName = (typeof FEED_EVENTS)[number];

/**
 * What a feed's event means: always the same, or read from the event (`$.type`, or `name` for the
 * event's own name in an event stream) and translated by `map`; what `map` lacks stands for itself.
 */
export type FeedEventRule =
  | { readonly kind: 'fixed'; readonly event: FeedEventName }
  | {
      readonly kind: 'read';
      readonly from: 'name' | JsonPath;
      readonly map: Readonly<Record<string, FeedEventName>>;
    };

export interface FeedSettings {
  readonly kind: FeedKindName;
  /** Appended to the origin's `url`, unless it is a whole URL itself. */
  readonly path?: string | undefined;
  readonly id: JsonPath;
  /** The record inside the event; empty for the whole event. */
  readonly value: JsonPath;
  readonly event: FeedEventRule;
  /** Groups that an `invalidate` without id concerns. */
  readonly group?: JsonPath | undefined;
  /** Settings that only this kind of feed understands. */
  readonly options: Readonly<Record<string, unknown>>;
}

const jsonPath: Reader<JsonPath> = scalar(
  'a place in the event, such as $.flight.id or /flight/id',
  (value) => (typeof value === 'string' ? parseJsonPath(value) : undefined),
);

export const anything: Reader<unknown> = (node) => plainOf(node);
export const anyMap: Reader<Readonly<Record<string, unknown>>> = mapOf(anything);

const eventRule: Reader<FeedEventRule> = (node, path, problems) => {
  if (node.kind === 'map') return mappedRule(node, path, problems);
  const written = node.kind === 'scalar' ? node.value : undefined;
  if (written === 'name') return { kind: 'read', from: 'name', map: {} };
  if (typeof written === 'string' && /^[$/]/.test(written)) {
    const from = jsonPath(node, path, problems);
    return from === undefined ? undefined : { kind: 'read', from, map: {} };
  }
  const event = oneOf(FEED_EVENTS)(node, path, problems);
  return event === undefined ? undefined : { kind: 'fixed', event };
};

const eventSource: Reader<'name' | JsonPath> = (node, path, problems) =>
  node.kind === 'scalar' && node.value === 'name' ? 'name' : jsonPath(node, path, problems);

function mappedRule(
  node: SettingNode,
  path: string,
  problems: ProblemList,
): FeedEventRule | undefined {
  const read = shape({ from: eventSource, map: mapOf(oneOf(FEED_EVENTS)) })(node, path, problems);
  if (read?.from !== undefined) return { kind: 'read', from: read.from, map: read.map ?? {} };
  if (read !== undefined) {
    problems.add(node.place, `${path} does not say where the event stands`, {
      cure: 'add from: name, or a place such as from: $.type',
    });
  }
  return undefined;
}

const feedOptions = { topic: nonEmpty, topics: listOf(nonEmpty), subject: nonEmpty, qos: count };
const FEED = {
  kind: oneOf(FEED_KINDS),
  path: nonEmpty,
  id: jsonPath,
  value: jsonPath,
  event: eventRule,
  group: jsonPath,
  options: anyMap,
  ...feedOptions,
} as const;
const feedShape = shape(FEED);
export type WrittenFeed = Partly<typeof FEED>;

export const feedReader: Reader<WrittenFeed> = (node, path, problems) => {
  const read = feedShape(node, path, problems);
  if (read === undefined || node.kind !== 'map' || node.entries.has('id')) return read;
  const isUnread = read.event === undefined && node.entries.has('event');
  if (!isUnread && namesRecords(read.event)) {
    problems.add(node.place, 'the feed does not say where the id stands', {
      cure: 'write id: $.id',
    });
  }
  return read;
};

const namesRecords = (rule: FeedEventRule | undefined): boolean =>
  rule === undefined || rule.kind === 'read' || !['invalidate', 'ignore'].includes(rule.event);

export function feedSettings(kind: OriginKindName, read: WrittenFeed): FeedSettings {
  const { topic, topics, subject, qos } = read;
  const named = Object.entries({ topic, topics, subject, qos });
  return {
    // What cannot stream itself most often does it by Server-Sent Events.
    kind: read.kind ?? FEED_KINDS.find((each) => each === kind) ?? 'sse',
    path: read.path,
    id: read.id ?? [],
    value: read.value ?? [],
    event: read.event ?? { kind: 'fixed', event: 'put' },
    group: read.group,
    options: {
      ...read.options,
      ...Object.fromEntries(named.filter(([, value]) => value !== undefined)),
    },
  };
}
