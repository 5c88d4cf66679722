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
  EventStreamParser,
  type FeedContext,
  type FeedEvent,
  type FeedMapping,
  feedEventOf,
  type KindServices,
  type KindSettings,
  type OpenResponse,
  type OriginDefinition,
  type StreamEvent,
} from 'millrace';

const IDLE_MS = 60_000;
/** A stream which says nothing about its shape is a Millrace node's, or one like it. */
const PLAIN: FeedMapping = { id: ['id'], value: [], event: { kind: 'fixed', event: 'put' } };

export const kind = defineOriginKind({ name: 'sse', open: openSse });

function openSse(settings: KindSettings, services: KindServices): OriginDefinition {
  const url = streamUrl(settings);
  const mapping = settings.feed ?? PLAIN;
  const idleMs = idleOf(settings);
  return {
    get(_, context) {
      // Saying "absent" would remove a record that the feed brought.
      if (context.replacing === undefined) return undefined;
      throw new Error(`origin ${settings.name} has a feed only: there is nothing to fetch`);
    },
    subscribe: (context) => subscribe(url, settings, services, mapping, idleMs, context),
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
  url: URL,
  settings: KindSettings,
  services: KindServices,
  mapping: FeedMapping,
  idleMs: number,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const stream = await openStream(url, settings, services, context);
  try {
    context.connected();
    let events: StreamEvent[] = [];
    const hooks = {
      event: (event: StreamEvent) => events.push(event),
      retry: context.reconnectAfter,
    };
    const parser = new EventStreamParser(hooks, context.resumeFrom);
    for await (const chunk of untilIdle(stream, idleMs, services)) {
      parser.push(chunk);
      const arrived = events;
      events = [];
      for (const event of arrived) {
        const mapped = feedEventOf(mapping, messageOf(event));
        if (mapped !== undefined) yield mapped;
      }
    }
  } finally {
    stream.close();
  }
}

async function openStream(
  url: URL,
  settings: KindSettings,
  services: KindServices,
  context: FeedContext,
): Promise<OpenResponse> {
  const { signal, resumeFrom } = context;
  const stream = await services.open(url, {
    headers: {
      'user-agent': 'millrace',
      ...settings.headers,
      accept: 'text/event-stream',
      ...(resumeFrom === undefined ? {} : { 'last-event-id': resumeFrom }),
    },
    signal,
  });
  const type = stream.headers.get('content-type') ?? '';
  if (stream.status === 200 && /^text\/event-stream\b/i.test(type)) return stream;
  stream.close();
  const found = stream.status === 200 ? `content type "${type}"` : `status ${stream.status}`;
  throw new Error(`the event stream at ${url.href} answered with ${found}`);
}

/** The stream's chunks; throws when none came for `idleMs`. */
async function* untilIdle(
  stream: OpenResponse,
  idleMs: number,
  services: KindServices,
): AsyncGenerator<Uint8Array> {
  let silent = false;
  const watch = () =>
    idleMs === 0
      ? () => {}
      : services.after(idleMs, () => {
          silent = true;
          stream.close();
        });
  let stop = watch();
  try {
    for await (const chunk of stream.body) {
      stop();
      yield chunk;
      stop = watch();
    }
  } catch (error) {
    if (!silent) throw error;
  } finally {
    stop();
  }
  if (silent) throw new Error(`the event stream was silent for ${idleMs} ms`);
}

function messageOf(event: StreamEvent) {
  const position = event.lastEventId === '' ? undefined : event.lastEventId;
  return { name: event.name, content: jsonOr(event.content), position };
}

/** Text that is no JSON stands for itself. */
function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
