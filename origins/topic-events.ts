/** What a message under a topic or subject changes: the record's new state, or its end. */
import {
  type FeedContext,
  type FeedEvent,
  type FeedMapping,
  type FeedWrite,
  feedEventOf,
  type JsonRecord,
} from 'millrace';
import { jsonOr } from './feed-only.ts';
import type { TopicPattern } from './topic-patterns.ts';

/** What a broker may have said meanwhile is unknown: what is held is to be asked for, or told. */
export const inDoubt = ({ tables }: FeedContext): FeedEvent => ({
  type: 'transaction',
  writes: tables.map(({ table }) => ({ type: 'invalidate', table, soft: true })),
});

export interface TopicMessage {
  /** Name of the topic or subject. */
  readonly name: string;
  /** Empty: the record is gone. */
  readonly text: string;
  readonly position: string | undefined;
}

/** `undefined`: the message is of no topic that was asked for. */
export function topicEvent(
  topics: readonly TopicPattern[],
  mapping: FeedMapping | undefined,
  { tables }: FeedContext,
  { name, text, position }: TopicMessage,
): FeedEvent | undefined {
  const named = topics.map((pattern) => pattern.idIn(name)).find((id) => id !== undefined);
  if (named === undefined) return undefined;
  const id = named === '' ? undefined : named;
  const writes =
    text === ''
      ? [{ type: 'delete', id } as FeedWrite]
      : writesOf(mapping, name, jsonOr(text)).map((write) => ({
          ...write,
          ...(id === undefined ? {} : { id }),
        }));
  const all = tables.flatMap(({ table }) => writes.map((write) => ({ ...write, table })));
  return { type: 'transaction', writes: all as readonly FeedWrite[], position };
}

function writesOf(
  mapping: FeedMapping | undefined,
  name: string,
  content: unknown,
): readonly FeedWrite[] {
  // A bare number or text is the one value of its record.
  const isRecord = typeof content === 'object' && content !== null;
  const record = isRecord ? content : { value: content };
  if (mapping === undefined) return [{ type: 'put', id: '', value: record as JsonRecord }];
  const event = feedEventOf(mapping, { name, content: record, position: undefined });
  if (event === undefined) return [];
  return event.type === 'transaction' ? event.writes : [event];
}
