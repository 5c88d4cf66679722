/**
 * Runs the live feeds of the origins on the store thread: applies their events to the tables and
 * tells all threads, through shared memory, since when a feed vouches for what is stored.
 *
 * Events are committed in order without waiting for each other's commit; so many may be under way
 * that a fast feed is not bound by the time of one commit, and no more.
 */
import type { TableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import type { Log } from './observe/log.ts';
import type { FeedState, OriginFeed } from './origin/feed.ts';
import type { FeedEvent } from './origin/feed-events.ts';
import type { OriginRuntime } from './origin/runtime.ts';
import { feedOps, followUps } from './table/feed-writes.ts';
import type { LiveSource } from './table/live-source.ts';
import type { StoreWriter } from './table/store-port.ts';
import type { Table } from './table/table.ts';
import type { Tables } from './table/tables.ts';
import { type ThreadTables, tableBinding } from './worker-tables.ts';

export interface FeedParts {
  readonly tables: Tables;
  readonly origins: ReadonlyMap<string, OriginRuntime>;
  readonly live: ReadonlyMap<TableName, LiveSource>;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly log: Log;
  readonly followed: Pick<ThreadTables['followed'], 'origins'>;
}

export interface RunningFeeds {
  /** Origin → whether its feed is connected, and why not. */
  states(): ReadonlyMap<string, FeedState>;
  stop(): Promise<void>;
}

/** Commits of one feed that may be under way together. */
const COMMITS_MAX = 64;

export function startFeeds(parts: FeedParts): RunningFeeds {
  const feeds = new Map<string, OriginFeed>();
  let isStopped = false;
  const open = (name: string, runtime: OriginRuntime): OriginFeed | undefined => {
    const fed = parts.tables.all().filter((table) => table.definition.sourcedFrom?.origin === name);
    const [first] = fed;
    const feed = first === undefined ? undefined : openFeed(name, first, fed, runtime, parts);
    if (feed !== undefined) feeds.set(name, feed);
    return feed;
  };
  for (const [name, runtime] of parts.origins) open(name, runtime)?.start();
  parts.followed.origins.onRenewed((name) => {
    const old = feeds.get(name);
    const runtime = parts.origins.get(name);
    if (old === undefined || runtime === undefined) return;
    const renewed = open(name, runtime);
    // One after the other: a session of a broker belongs to one connection at a time.
    void old.stop().then(() => (isStopped ? undefined : renewed?.start()));
  });
  return {
    states: () => new Map([...feeds].map(([name, feed]) => [name, feed.state])),
    async stop() {
      isStopped = true;
      await Promise.all([...feeds.values()].map((feed) => feed.stop()));
    },
  };
}

/** The feed of an origin concerns the first table it feeds, unless an event names another. */
function openFeed(
  origin: string,
  first: Table,
  fed: readonly Table[],
  runtime: OriginRuntime,
  parts: FeedParts,
): OriginFeed | undefined {
  const { log, tables, writer, live, clock } = parts;
  const window = new CommitWindow((error) => {
    log.error({ origin, error: String(error) }, 'what a feed said could not be stored');
    feed?.restart(error);
  });
  const target = {
    table: (name: string | undefined) => (name === undefined ? first : tables.get(name)),
    onRefused: (id: unknown, error: Error) =>
      log.warn({ origin, id, error: error.message }, 'a feed event was refused'),
  };
  const bindings = fed.map(({ definition }) => tableBinding(definition));
  const feed: OriginFeed | undefined = runtime.feed(bindings, {
    apply: (event: FeedEvent) => {
      const ops = feedOps(event, target);
      if (ops.length === 0) return Promise.resolve();
      return window.begin(async () => {
        const outcomes = await writer.commit(ops, 'process');
        const more = followUps(ops, outcomes, target);
        if (more.length > 0) await writer.commit(more, 'process');
      });
    },
    moved: (state) => {
      log.info({ origin, ...stateFacts(state) }, 'feed moved');
      for (const table of fed) markLive(live.get(table.name), state, clock);
    },
    rejected: (error) => log.warn({ origin, error: error.message }, 'a feed event makes no sense'),
  });
  return feed;
}

function markLive(source: LiveSource | undefined, state: FeedState, clock: Clock): void {
  if (state.kind === 'connected' && state.vouches) source?.connected(state.liveSince);
  else source?.disconnected(clock.now());
}

function stateFacts(state: FeedState): object {
  if (state.kind !== 'down') return { state: state.kind };
  return { state: state.kind, error: state.error?.message };
}

/**
 * Lets `COMMITS_MAX` commits run together. The feed's position moves when an event has begun to be
 * committed; so one that fails is told at once, and the feed begins again without a position.
 */
class CommitWindow {
  readonly #underWay = new Set<Promise<void>>();
  readonly #failed: (error: unknown) => void;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  async begin(commit: () => Promise<unknown>): Promise<void> {
    const running: Promise<void> = commit()
      .then(() => undefined, this.#failed)
      .finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
    if (this.#underWay.size >= COMMITS_MAX) await Promise.race(this.#underWay);
  }
}
