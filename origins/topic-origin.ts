/** What the kinds over a broker share: a feed, and writes that are published to a topic each. */
import type { FeedContext, FeedEvent, JsonRecord, OriginDefinition, RecordId } from 'millrace';
import { nothingToFetch } from './feed-only.ts';
import { type TopicSyntax, topicOf } from './topic-patterns.ts';

export interface TopicOriginParts {
  readonly name: string;
  readonly syntax: TopicSyntax;
  /** Template of writes; absent: there are none. */
  readonly publish: string | undefined;
  /** Resolves when the broker has taken the message; an empty one ends the record. */
  readonly send: (topic: string, text: string, signal: AbortSignal) => Promise<undefined>;
  readonly follow: (context: FeedContext) => AsyncIterable<FeedEvent>;
}

export function topicOrigin(parts: TopicOriginParts): OriginDefinition {
  const { name, syntax, publish, follow } = parts;
  const reading: OriginDefinition = {
    get: (_, context) => nothingToFetch(name, context),
    subscribe: follow,
  };
  if (publish === undefined) return reading;
  // An id that cannot stand in a topic rejects the write.
  const send = async (id: RecordId, text: string, signal: AbortSignal) =>
    parts.send(topicOf(syntax, name, publish, id), text, signal);
  return {
    ...reading,
    put: (id: RecordId, record: JsonRecord, { signal }) => send(id, JSON.stringify(record), signal),
    delete: (id: RecordId, { signal }) => send(id, '', signal),
  };
}
