/**
 * Who on this node fetches which key: the store thread's side of the `Leases` port. A key has one
 * leader at a time for readers with the same view of invalidation; everybody else follows and is
 * handed what the leader's fetch ended with. A reader which knows of a newer invalidation gets a
 * lease of its own, so it never joins a fetch that began before.
 *
 * Pure bookkeeping: how messages travel is the caller's business. Bounded by the flights of the
 * workers, each of which bounds its own.
 */
import type { Sequence } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { FlightOutcome, Leases } from './ports.ts';

/** Identity of a worker thread. */
export type WorkerId = number;

/** `deliver` hands a follower the outcome. */
export type Deliver = (outcome: FlightOutcome) => void;

interface HeldLease {
  readonly worker: WorkerId;
  readonly stamp: Sequence;
  readonly followers: Deliver[];
}

export class LeaseTable {
  /** Usually one lease a key; more only while an older fetch goes on after an invalidation. */
  readonly #held = new Map<string, HeldLease[]>();

  get size(): number {
    return this.#held.size;
  }

  /** True: the worker leads. False: `deliver` will be called once with the leader's outcome. */
  acquire(worker: WorkerId, key: string, stamp: Sequence, deliver: Deliver): boolean {
    const leases = this.#held.get(key) ?? [];
    const joinable = leases.find((lease) => lease.stamp >= stamp);
    if (joinable !== undefined) {
      joinable.followers.push(deliver);
      return false;
    }
    this.#held.set(key, [...leases, { worker, stamp, followers: [] }]);
    return true;
  }

  /** Ends a lease: its followers are handed the outcome. A lease that is not held is ignored. */
  settle(worker: WorkerId, key: string, stamp: Sequence, outcome: FlightOutcome): void {
    const leases = this.#held.get(key) ?? [];
    const ended = leases.find((lease) => lease.worker === worker && lease.stamp === stamp);
    if (ended === undefined) return;
    const left = leases.filter((lease) => lease !== ended);
    if (left.length === 0) this.#held.delete(key);
    else this.#held.set(key, left);
    for (const deliver of ended.followers) deliver(outcome);
  }

  /** A worker has gone: everybody who followed it is told, and the keys are free. */
  release(worker: WorkerId): void {
    const error = new NodeError('ORIGIN_FAILED', 'the worker that fetched this record ended', {
      retry: 'now',
    });
    for (const [key, leases] of [...this.#held]) {
      for (const lease of leases.filter((one) => one.worker === worker)) {
        this.settle(worker, key, lease.stamp, { kind: 'failure', error });
      }
    }
  }
}

/** The leases of the thread that has the table. */
export const leasesAt = (table: LeaseTable, worker: WorkerId): Leases => ({
  acquire(key, stamp) {
    let deliver: Deliver = () => undefined;
    const outcome = new Promise<FlightOutcome>((resolve) => {
      deliver = resolve;
    });
    if (!table.acquire(worker, key, stamp, deliver)) return { kind: 'follow', outcome };
    return { kind: 'lead', settle: (ended) => table.settle(worker, key, stamp, ended) };
  },
});
