/**
 * The events of a `text/event-stream`, for the kinds that follow one: asked for with the position
 * to resume from, given up when it falls silent, closed when nobody takes its events any more.
 */
import {
  EventStreamParser,
  type FeedContext,
  type KindServices,
  type OpenResponse,
  type StreamEvent,
} from 'millrace';

export interface EventSource {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds without a byte after which the connection is given up; 0: never. */
  readonly idleMs: number;
}

/** The events as they come, those of one chunk together; the first list is empty: it is open. */
export async function* eventsOf(
  source: EventSource,
  services: KindServices,
  context: FeedContext,
): AsyncGenerator<readonly StreamEvent[]> {
  const stream = await openStream(source, services, context);
  try {
    yield [];
    let events: StreamEvent[] = [];
    const hooks = {
      event: (event: StreamEvent) => events.push(event),
      retry: context.reconnectAfter,
    };
    const parser = new EventStreamParser(hooks, context.resumeFrom);
    for await (const chunk of untilIdle(stream, source.idleMs, services)) {
      parser.push(chunk);
      const arrived = events;
      events = [];
      yield arrived;
    }
  } finally {
    stream.close();
  }
}

async function openStream(
  { url, headers }: EventSource,
  services: KindServices,
  { signal, resumeFrom }: FeedContext,
): Promise<OpenResponse> {
  const stream = await services.open(url, {
    headers: {
      'user-agent': 'millrace',
      ...headers,
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
