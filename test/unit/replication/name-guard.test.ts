/** Who is refused everywhere for its name takes no writes until it is let in, or nobody says so. */
import { beforeEach, describe, expect, it } from 'vitest';
import { BOUNDS } from '../../../src/replication/bounds.ts';
import { NameGuard } from '../../../src/replication/name-guard.ts';
import type { ReplicaStore } from '../../../src/replication/ports.ts';

let now = 0;
let told: (string | undefined)[] = [];
let guard: NameGuard;
beforeEach(() => {
  now = 0;
  told = [];
  const store = { setNameTaken: (by) => void told.push(by) } as Pick<ReplicaStore, 'setNameTaken'>;
  guard = new NameGuard({
    ...{ name: 'n2', store: store as ReplicaStore, now: () => now },
    events: {},
  });
});

describe('a node whose name is taken [R8]', () => {
  it('has writes refused once a node of another name says so', () => {
    guard.tick(false);
    guard.dismissed('n1', 'STALLED');
    guard.tick(false);
    expect(told).toEqual([]);
    guard.dismissed('n1', 'DUPLICATE_NODE');
    guard.tick(false);
    expect([guard.isTaken, told]).toEqual([true, ['n1']]);
  });

  it('does not believe its namesake, which may be the one that is wrong', () => {
    guard.dismissed('n2', 'DUPLICATE_NODE');
    guard.tick(false);
    expect([guard.isTaken, told]).toEqual([false, []]);
  });

  it('is let in, or not told any more: then writes are taken again', () => {
    guard.dismissed('n1', 'DUPLICATE_NODE');
    guard.tick(false);
    guard.tick(true);
    guard.tick(false);
    expect(told).toEqual(['n1', undefined]);
    guard.dismissed('n3', 'DUPLICATE_NODE');
    guard.tick(false);
    now += BOUNDS.nameTakenMs / 2;
    guard.dismissed('n3', 'DUPLICATE_NODE');
    now += BOUNDS.nameTakenMs;
    guard.tick(false);
    expect(told).toEqual(['n1', undefined, 'n3']);
    now += 1;
    guard.tick(false);
    expect(told).toEqual(['n1', undefined, 'n3', undefined]);
  });

  it('goes on where another node lets it in', () => {
    guard.dismissed('n1', 'DUPLICATE_NODE');
    guard.tick(true);
    expect(told).toEqual([]);
  });
});
