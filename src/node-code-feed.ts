/**
 * What application code needs on the thread that owns the store, where MQTT runs it: with app
 * threads beside it this thread serves no subscribers, so changes that code follows here need a
 * fan-out of their own. With one thread the app has opened all of it.
 */
import type { Clock } from './base/clock.ts';
import type { Config } from './config/config.ts';
import { Fanout } from './feed/fanout.ts';
import { readThrough } from './feed/table-reads.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { Store } from './store/store-options.ts';
import type { Tables } from './table/tables.ts';
import { openToCode } from './worker-app.ts';

export interface CodeFeedParts {
  readonly config: Config;
  readonly store: Store;
  readonly tables: Tables;
  readonly clock: Clock;
}

/** Returns what ends it. */
export function serveCodeHere({ config, store, tables, clock }: CodeFeedParts): () => void {
  if (config.threads === 1) return () => undefined;
  const fanout = new Fanout({
    ...{ source: store, clock },
    readRecord: readThrough(store, (name) => tables.get(name)),
  });
  openToCode(fanout, (ops) => store.commit(ops, config.store.durability), {
    ...{ bodies: store.bodies, config },
  });
  fanout.start();
  return () => {
    fanout.stop();
    threadScope().openFeed = undefined;
  };
}
