/** The runner of live feeds: order, positions, reconnection, and what it says of itself. */
import { describe, expect, it } from 'vitest';
import { type FeedHooks, type FeedState, OriginFeed } from '../../../src/origin/feed.ts';
import type { FeedContext, FeedEvent } from '../../../src/origin/feed-events.ts';
import { deferred, ManualClock, settled } from '../../support/manual-clock.ts';

type Session = (context: FeedContext) => AsyncIterable<FeedEvent>;

function make(sessions: readonly Session[], hooks: Partial<FeedHooks> = {}) {
  const clock = new ManualClock();
  const contexts: FeedContext[] = [];
  const applied: FeedEvent[] = [];
  const states: FeedState['kind'][] = [];
  const feed = new OriginFeed({
    name: 'o',
    tables: [],
    subscribe(context) {
      contexts.push(context);
      const session = sessions[Math.min(contexts.length, sessions.length) - 1];
      if (session === undefined) throw new Error('no session');
      return session(context);
    },
    hooks: {
      apply: async (event) => void applied.push(event),
      moved: (state) => states.push(state.kind),
      ...hooks,
    },
    around: { clock, random: () => 0 },
  });
  return { clock, feed, contexts, applied, states };
}

const put = (id: string, position?: string): FeedEvent => ({
  type: 'put',
  id,
  value: { id },
  position,
});

/** Yields the events, then stays open until the session is over. */
const open = (...events: FeedEvent[]): Session =>
  async function* (context) {
    context.connected();
    yield* events;
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  };

/** Yields the events, then ends. */
const ending = (...events: FeedEvent[]): Session =>
  async function* (context) {
    context.connected();
    yield* events;
  };

const failing: Session = () => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('refused')) }),
});

describe('a live feed', () => {
  it('applies events in order, one at a time', async () => {
    const gate = deferred();
    const begun: string[] = [];
    const { feed } = make([open(put('a'), put('b'))], {
      async apply(event) {
        begun.push('id' in event ? String(event.id) : '');
        await gate.promise;
      },
    });
    feed.start();
    await settled();
    expect(begun).toEqual(['a']);
    gate.resolve();
    await settled();
    expect(begun).toEqual(['a', 'b']);
    await feed.stop();
  });

  it('comes back after an end, from the position of the last applied event', async () => {
    const { clock, feed, contexts, applied } = make([ending(put('a', '1'), put('b', '2')), open()]);
    feed.start();
    await settled();
    expect(feed.live()).toBe(false);
    clock.advance(1_000);
    await settled();
    expect(feed.live()).toBe(true);
    expect(contexts.map((context) => context.resumeFrom)).toEqual([undefined, '2']);
    expect(applied).toHaveLength(2);
    await feed.stop();
  });

  it('does not move its position past an event that was not applied', async () => {
    let refuse = true;
    const { clock, feed, contexts } = make([open(put('a', '1'), put('b', '2'))], {
      async apply(event) {
        if (refuse && 'id' in event && event.id === 'b') throw new Error('store full');
      },
    });
    feed.start();
    await settled();
    expect(feed.position).toBe('1');
    refuse = false;
    clock.advance(1_000);
    await settled();
    expect(contexts[1]?.resumeFrom).toBe('1');
    expect(feed.position).toBe('2');
    await feed.stop();
  });

  it('begins again without a position when something applied turns out to be lost', async () => {
    const { feed, contexts, clock } = make([open(put('a', '1')), open(put('b', '2'))]);
    feed.start();
    await settled();
    expect(feed.position).toBe('1');
    clock.advance(500);
    feed.restart(new Error('the commit failed'));
    await settled();
    expect([feed.live(), feed.position]).toEqual([false, undefined]);
    clock.advance(60_000);
    await settled();
    expect(contexts.map(({ resumeFrom }) => resumeFrom)).toEqual([undefined, undefined]);
    expect(feed.liveSince()).toBe(clock.now());
  });

  it('vouches since its first connection if it resumed, else since the new one', async () => {
    const resuming = make([ending(put('a', '1')), open()]);
    resuming.feed.start();
    await settled();
    const first = resuming.clock.instant;
    resuming.clock.advance(5_000);
    await settled();
    expect(resuming.feed.liveSince()).toBe(first);
    await resuming.feed.stop();

    const forgetful = make([ending(put('a')), open()]);
    forgetful.feed.start();
    await settled();
    forgetful.clock.advance(500);
    await settled();
    expect(forgetful.feed.liveSince()).toBe(first + 500);
    await forgetful.feed.stop();
  });

  it('waits longer after each failure, and starts over once a session was of use', async () => {
    const { clock, feed, contexts } = make([failing, failing, failing, ending(put('a')), failing]);
    feed.start();
    const attempts: number[] = [];
    for (let second = 0; second < 16; second += 1) {
      await settled();
      attempts.push(contexts.length);
      clock.advance(500);
    }
    // Half of 1, 2 and 4 s (the jitter is 0), then half of 1 s again after the useful session.
    expect(attempts).toEqual([1, 2, 2, 3, 3, 3, 3, 4, 5, 5, 6, 6, 6, 6, 7, 7]);
    await feed.stop();
  });

  it('honours the reconnection time that the origin asks for', async () => {
    const { clock, feed, contexts } = make([
      async function* (context) {
        context.reconnectAfter(10_000);
        yield put('a');
      },
      open(),
    ]);
    feed.start();
    await settled();
    clock.advance(4_999);
    await settled();
    expect(contexts).toHaveLength(1);
    clock.advance(1);
    await settled();
    expect(contexts).toHaveLength(2);
    await feed.stop();
  });

  it('is live from its first event when the code never says that it is connected', async () => {
    const silent = make([
      async function* (context) {
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        yield put('a');
      },
    ]);
    silent.feed.start();
    await settled();
    expect(silent.feed.live()).toBe(false);
    await silent.feed.stop();
  });

  it('drops an event that makes no sense, says so, and goes on', async () => {
    const senseless = [{ type: 'put', id: 'a' }, { type: 'replace' }, { type: 'delete' }, null];
    const problems: string[] = [];
    const { feed, applied } = make([open(...(senseless as FeedEvent[]), put('b'))], {
      rejected: (error) => problems.push(error.code),
    });
    feed.start();
    await settled();
    expect(problems).toEqual(Array(4).fill('ORIGIN_BODY_INVALID'));
    expect(applied).toEqual([put('b')]);
    expect(feed.counters).toEqual({ applied: 1, rejected: 4, sessions: 1 });
    await feed.stop();
  });

  it('stops although the code hangs and ignores its signal', async () => {
    const hanging: Session = () => ({
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    });
    const { feed, states } = make([hanging]);
    feed.start();
    await settled();
    await feed.stop();
    expect(states).toEqual(['down', 'stopped']);
  });

  it('survives code that throws before it yields anything', async () => {
    const { feed, states } = make([
      () => {
        throw new Error('at once');
      },
    ]);
    feed.start();
    await settled();
    expect(feed.state.kind).toBe('down');
    await feed.stop();
    expect(states).toEqual(['down', 'down', 'stopped']);
  });
});
