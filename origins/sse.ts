/**
 * Origin kind `sse`: a live feed of Server-Sent Events, alone or as the `feed` of an `http` origin.
 *
 *   kind: http
 *   url: https://api.example.com
 *   feed: { kind: sse, path: /stream, id: "$.flightId", value: "$.state", event: put }
 *
 * It resumes with `Last-Event-ID`, honours `retry`, and gives a silent connection up after
 * `options.idle` milliseconds (default 60000, 0 never; comments count as life). Alone it has no
 * records to fetch: what the feed did not bring is absent.
 */
import {
  defineOriginKind,
  type FeedContext,
  type FeedEvent,
  type FeedMapping,
  feedEventOf,
  type KindServices,
  type KindSettings,
  type OriginDefinition,
  type StreamEvent,
} from 'millrace';
import { type EventSource, eventsOf } from './event-source.ts';
import { jsonOr, nothingToFetch } from './feed-only.ts';

const IDLE_MS = 60_000;
/** A stream which says nothing about its shape is a Millrace node's, or one like it. */
const PLAIN: FeedMapping = { id: ['id'], value: [], event: { kind: 'fixed', event: 'put' } };

export const kind = defineOriginKind({ name: 'sse', open: openSse });

function openSse(settings: KindSettings, services: KindServices): OriginDefinition {
  const { headers } = settings;
  const source = { url: streamUrl(settings), headers, idleMs: idleOf(settings) };
  const mapping = settings.feed ?? PLAIN;
  return {
    get: (_, context) => nothingToFetch(settings.name, context),
    subscribe: (context) => subscribe(source, services, mapping, context),
  };
}

function streamUrl(settings: KindSettings): URL {
  const { url, feed, name } = settings;
  const path = feed?.path ?? '';
  if (URL.canParse(path)) return new URL(path);
  if (url === undefined) throw new Error(`origin ${name}: kind sse needs an url`);
  const base = new URL(url);
  const [pathname = '', query] = path.split('?', 2);
  if (pathname !== '')
    base.pathname = `${base.pathname.replace(/\/$/, '')}/${pathname.replace(/^\//, '')}`;
  if (query !== undefined) base.search = query;
  return base;
}

function idleOf(settings: KindSettings): number {
  const idle = settings.feed?.options.idle ?? settings.options.idle ?? IDLE_MS;
  if (typeof idle === 'number' && idle >= 0) return idle;
  throw new Error(`origin ${settings.name}: options.idle is a number of milliseconds, 0 for never`);
}

async function* subscribe(
  source: EventSource,
  services: KindServices,
  mapping: FeedMapping,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  for await (const events of eventsOf(source, services, context)) {
    context.connected();
    for (const event of events) {
      const mapped = feedEventOf(mapping, messageOf(event));
      if (mapped !== undefined) yield mapped;
    }
  }
}

function messageOf(event: StreamEvent) {
  const position = event.lastEventId === '' ? undefined : event.lastEventId;
  return { name: event.name, content: jsonOr(event.content), position };
}
