/** Counts what the read paths of this thread report, in plain arrays; read when scraped. */
import type { CacheEvents, ResultWord } from '../cache/events.ts';
import type { Counted } from './app-metrics.ts';

export interface CacheCounts {
  readonly events: CacheEvents;
  requests(): Iterable<Counted>;
  collapsed(): Iterable<Counted>;
  limitsHit(): Iterable<Counted>;
  countLimit(limit: string): void;
}

export interface CacheComplaints {
  /** A fill was lost, or a refresh broke: the reader never hears of it. */
  complain(facts: object, message: string): void;
}

export function createCacheCounts(complaints: CacheComplaints): CacheCounts {
  const words = new Map<string, Map<ResultWord, number>>();
  const collapsed = new Map<string, number>();
  const limits = new Map<string, number>();
  const increment = (counts: Map<string, number>, name: string) =>
    counts.set(name, (counts.get(name) ?? 0) + 1);
  return {
    events: {
      answered(table, word) {
        let counts = words.get(table);
        if (counts === undefined) {
          counts = new Map();
          words.set(table, counts);
        }
        counts.set(word, (counts.get(word) ?? 0) + 1);
      },
      collapsed: (table) => void increment(collapsed, table),
      limitHit: (limit) => void increment(limits, limit),
      fillLost(table, cause, error) {
        if (cause === 'shed') increment(limits, 'fillsShed');
        else
          complaints.complain({ table, error: String(error) }, 'a fetched record was not stored');
      },
      refreshBroke: (table, error) =>
        complaints.complain(
          { table, error: String(error) },
          'a refresh behind a stale answer broke',
        ),
    },
    *requests() {
      for (const [table, counts] of words) {
        for (const [result, value] of counts) yield { labels: { table, result }, value };
      }
    },
    collapsed: () => labelled(collapsed, 'table'),
    limitsHit: () => labelled(limits, 'limit'),
    countLimit: (limit) => void increment(limits, limit),
  };
}

function* labelled(counts: ReadonlyMap<string, number>, label: string): Generator<Counted> {
  for (const [name, value] of counts) yield { labels: { [label]: name }, value };
}
