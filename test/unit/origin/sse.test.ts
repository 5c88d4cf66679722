/** Origin kind `sse`, alone and as the feed of an `http` origin, against a real stream. */
import { afterEach, describe, expect, it } from 'vitest';
import { type OriginSettings, parseOrigin } from '../../../src/config/origin-file.ts';
import type { OriginFeed } from '../../../src/origin/feed.ts';
import type { FeedEvent } from '../../../src/origin/feed-events.ts';
import { ProblemList } from '../../../src/schema/problem.ts';
import { EventOrigin } from '../../support/event-origin.ts';
import { holds } from '../../support/holds.ts';
import { ask, binding, failureOf, openTestOrigin } from '../../support/origins.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** The feed settings which the YAML of an origin says. */
function settingsOf(yaml: string): Pick<OriginSettings, 'kind' | 'url' | 'feed' | 'options'> {
  const problems = new ProblemList();
  const env = { variable: () => undefined } as never;
  const settings = parseOrigin({ name: 'o', text: yaml, file: 'o.yaml' }, env, problems);
  if (settings === undefined) throw new Error(JSON.stringify(problems.sorted()));
  const { kind, url, feed, options } = settings;
  return { kind, url, feed, options };
}

async function open(feedYaml: string, prepare: (origin: EventOrigin) => void = () => {}) {
  const http = await EventOrigin.start();
  opened.push(() => http.close());
  prepare(http);
  const yaml = feedYaml.replace('URL', http.url);
  const runtime = await openTestOrigin(settingsOf(yaml));
  opened.push(() => runtime.stop());
  const events: FeedEvent[] = [];
  const feed = runtime.feed([binding], {
    apply: async (event) => void events.push(event),
  }) as OriginFeed;
  opened.push(() => feed.stop());
  feed.start();
  return { http, runtime, feed, events };
}

const HTTP =
  'kind: http\nurl: URL/api\nfeed: { path: /stream?all=1, id: $.flightId, value: $.state';

describe('origin kind sse', () => {
  it('brings records by the places that the settings name, with their positions', async () => {
    const { http, feed, events } = await open(`${HTTP}, event: put }`);
    await holds(() => feed.live());
    expect(http.paths).toEqual(['/api/stream?all=1']);
    http.send('id: 7\ndata: {"flightId":"AA1","state":{"gate":"B2"}}\n\n');
    await holds(() => events.length === 1);
    expect(events).toEqual([{ type: 'put', id: 'AA1', value: { gate: 'B2' }, position: '7' }]);
  });

  it('reads the kind of change from the event’s name and translates it', async () => {
    const rule = 'event: { from: name, map: { moved: patch, gone: delete, ping: ignore } } }';
    const { http, events } = await open(`${HTTP}, ${rule}`);
    await holds(() => http.streams === 1);
    http.send('event: ping\ndata: {}\n\n');
    http.send('event: moved\ndata: {"flightId":1,"state":{"x":1}}\n\n');
    http.send('event: gone\ndata: {"flightId":1}\n\nevent: invalidate\ndata: {"flightId":2}\n\n');
    await holds(() => events.length === 3);
    expect(events.map((event) => ('id' in event ? `${event.type} ${event.id}` : ''))).toEqual([
      'patch 1',
      'delete 1',
      'invalidate 2',
    ]);
  });

  it('takes a list as one transaction', async () => {
    const { http, events } = await open(`${HTTP}, event: put }`);
    await holds(() => http.streams === 1);
    http.send('data: [{"flightId":1,"state":{}},{"flightId":2,"state":{}}]\n\n');
    await holds(() => events.length === 1);
    expect(events[0]).toMatchObject({ type: 'transaction', writes: [{ id: 1 }, { id: 2 }] });
  });

  it('invalidates by bare text, by group, or the whole table', async () => {
    const { http, events } = await open(
      'kind: http\nurl: URL\nfeed: { path: /s, event: invalidate, group: $.group }',
    );
    await holds(() => http.streams === 1);
    http.send('data: AA1\n\ndata: {"group":"europe"}\n\ndata: {}\n\n');
    await holds(() => events.length === 3);
    expect(events).toEqual([
      { type: 'invalidate', id: 'AA1', position: undefined },
      { type: 'invalidate', group: 'europe', position: undefined },
      { type: 'invalidate', position: undefined },
    ]);
  });

  it('comes back with Last-Event-ID after a cut, as soon as the origin asks', async () => {
    const { http, feed } = await open(`${HTTP}, event: put }`, (origin) => {
      origin.greeting = 'retry: 100\n\n';
    });
    await holds(() => feed.live());
    const since = feed.liveSince();
    http.send('id: 42\ndata: {"flightId":1,"state":{}}\n\n');
    await holds(() => feed.position === '42');
    http.cut();
    await holds(() => !feed.live());
    await holds(() => feed.live());
    expect(http.asked).toEqual(['', '42']);
    expect(feed.liveSince()).toBe(since);
  });

  for (const [title, prepare] of [
    ['answers with another content type', (o: EventOrigin) => (o.contentType = 'text/html')],
    ['answers with a failure', (o: EventOrigin) => (o.status = 503)],
  ] as const) {
    it(`is down, with the reason, while the origin ${title}`, async () => {
      const { http, feed } = await open(`${HTTP}, event: put }`, (o) => void prepare(o));
      await holds(() => feed.state.kind === 'down' && feed.state.error !== undefined);
      await holds(() => http.streams === 0);
      expect(feed.live()).toBe(false);
    });
  }

  it('gives up a silent connection, and takes comments for life', async () => {
    // Far more than the beats are apart, so that a machine that stands still cuts nothing.
    const idle = 'options: { idle: 1500 }';
    const { http, feed } = await open(`${HTTP}, event: put, ${idle} }`);
    await holds(() => feed.live());
    const began = performance.now();
    const beat = setInterval(() => {
      http.send(': beat\n\n');
    }, 30);
    await holds(() => performance.now() - began > 2_000);
    expect(feed.counters.sessions).toBe(1);
    clearInterval(beat);
    await holds(() => !feed.live());
    expect(feed.state).toMatchObject({ kind: 'down', error: { code: 'ORIGIN_FAILED' } });
  });

  it('lets go of its connection when it is stopped', async () => {
    const { http, feed } = await open(`${HTTP}, event: put }`);
    await holds(() => http.streams === 1);
    await feed.stop();
    await holds(() => http.streams === 0);
    expect(feed.state.kind).toBe('stopped');
  });

  it('has nothing to fetch when it stands alone, and removes no held record', async () => {
    const { runtime } = await open('kind: sse\nurl: URL\nfeed: { id: $.id }');
    const table = runtime.table(binding);
    expect((await table.fetch(ask('a'))).kind).toBe('absent');
    const replacing = { kind: 'record', meta: {}, retain: () => replacing } as never;
    expect((await failureOf(table.fetch(ask('a', { replacing })))).code).toBe('ORIGIN_FAILED');
  });
});
