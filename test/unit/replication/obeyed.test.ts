/** Which purges a node has obeyed, and whether another may answer who has obeyed them [R11]. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  nodeId,
  recordVersion,
  type Sequence,
  sequence,
  tableName,
} from '../../../src/base/brands.ts';
import { AHEAD_NOTE } from '../../../src/base/obeyed-ahead.ts';
import { ObeyedInvalidations } from '../../../src/replication/obeyed.ts';
import type { InvalidationItem, Item, ReplicaStore } from '../../../src/replication/ports.ts';
import { AheadSet } from '../../../src/replication/purges.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const [SELF, OTHER] = [nodeId(1), nodeId(2)];
/** What the store kept over its start of purges that came ahead. */
let kept: unknown;

class Side {
  readonly ahead = new AheadSet();
  readonly clock = new ManualClock();
  readonly cursors = new Map<typeof SELF, Sequence>();
  settled = 0;
  sequence = sequence(10);
  newestOwn = sequence(0);
  newestChange = sequence(0);
  readonly #listeners = new Set<() => void>();
  readonly obeyed = new ObeyedInvalidations({
    store: {
      author: SELF,
      horizon: () => ({ sequence: this.sequence, cursors: this.cursors }),
      note: (name: string) => (name === AHEAD_NOTE ? kept : undefined),
      onHorizon: (listener: () => void) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
    } as unknown as ReplicaStore,
    ahead: this.ahead,
    clock: this.clock,
    newestOwn: () => ({ invalidation: this.newestOwn, change: this.newestChange }),
    settled: async () => {
      this.settled += 1;
    },
  });

  moved(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const purge = (at: number): InvalidationItem => ({
  ...{ kind: 'invalidation', table: tableName('data.Kept'), scope: { kind: 'key', id: 'a' } },
  ...{ soft: false, reason: 'purge', version: recordVersion(1) },
  origin: { author: OTHER, sequence: sequence(at), after: sequence(at - 1) },
});

let side = new Side();
beforeEach(() => {
  kept = undefined;
  side = new Side();
});

describe('a node that asks', () => {
  it('names the newest purge of each author, its own among them', async () => {
    side.newestOwn = sequence(8);
    side.obeyed.note({ items: [purge(4), purge(6)], cursors: new Map() });
    const told = await side.obeyed.upTo(sequence(10));
    expect(new Map(told?.known)).toEqual(
      new Map([
        [SELF, 8],
        [OTHER, 6],
      ]),
    );
    expect(told?.ahead).toEqual([]);
  });

  it('names one by one what came ahead of its place', async () => {
    side.ahead.add(purge(7).origin);
    side.obeyed.note({ items: [purge(7)], cursors: new Map(), isAhead: true });
    const told = await side.obeyed.upTo(sequence(10));
    expect(told).toEqual({ known: [], ahead: [[OTHER, 7]] });
  });

  it('names what came ahead of its place before it was started again', async () => {
    kept = [[OTHER, sequence(7), 0]];
    const told = await new Side().obeyed.upTo(sequence(10));
    expect(new Map(told?.known).get(OTHER)).toBe(7);
  });

  it('names the newest row too when it asks for what is made of rows', async () => {
    side.newestOwn = sequence(3);
    side.newestChange = sequence(8);
    const { origin } = purge(6);
    const row: Item = {
      kind: 'row',
      table: tableName('data.Item'),
      id: 'a',
      state: {} as never,
      origin,
    };
    side.obeyed.note({ items: [purge(4), row], cursors: new Map() });
    const known = async (withRows: boolean) =>
      new Map((await side.obeyed.upTo(sequence(10), withRows))?.known);
    expect((await known(false)).get(OTHER)).toBe(4);
    expect((await known(true)).get(OTHER)).toBe(6);
    expect((await known(false)).get(SELF)).toBe(3);
    expect((await known(true)).get(SELF)).toBe(8);
  });

  it('waits for what its threads see and the horizon does not reach', async () => {
    const asking = side.obeyed.upTo(sequence(12));
    side.sequence = sequence(12);
    side.newestOwn = sequence(12);
    side.moved();
    expect((await asking)?.known).toEqual([[SELF, 12]]);
  });

  it('asks nobody when it cannot say in time what it has obeyed', async () => {
    const asking = side.obeyed.upTo(sequence(12));
    side.clock.advance(60_000);
    expect(await asking).toBeUndefined();
  });

  it('counts all as obeyed that a snapshot skipped', async () => {
    const cursors = new Map([[OTHER, sequence(30)]]);
    side.obeyed.note({ items: [], cursors, invalidateCaches: true });
    expect((await side.obeyed.upTo(sequence(10)))?.known).toEqual([[OTHER, 30]]);
  });
});

describe('a node that is asked', () => {
  it('answers when its cursors hold all that the asker has obeyed', async () => {
    side.cursors.set(OTHER, sequence(6));
    expect(await side.obeyed.holds({ known: [[OTHER, sequence(6)]], ahead: [] })).toBe(true);
    expect(side.settled).toBe(0);
  });

  it('waits for a purge that is on its way, and does not answer without it', async () => {
    side.cursors.set(OTHER, sequence(5));
    const known = [[OTHER, sequence(6)]] as const;
    const answering = side.obeyed.holds({ known, ahead: [] });
    side.cursors.set(OTHER, sequence(6));
    side.moved();
    expect(await answering).toBe(true);
    side.cursors.set(OTHER, sequence(5));
    const late = side.obeyed.holds({ known, ahead: [] });
    side.clock.advance(60_000);
    expect(await late).toBe(false);
  });

  it('has what came ahead take effect before it answers', async () => {
    side.ahead.add(purge(7).origin);
    expect(await side.obeyed.holds({ known: [], ahead: [[OTHER, sequence(7)]] })).toBe(true);
    expect(side.settled).toBe(1);
  });
});
