/**
 * The `Leases` port across threads: a worker asks the store thread who fetches a key, and is either
 * told to lead or handed the leader's outcome. Messages are plain data; an outcome carries the
 * entry as its facts and bytes.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Sequence } from './base/brands.ts';
import type { LeaseTable, WorkerId } from './cache/lease-table.ts';
import { decodeOutcome, type EncodedOutcome, encodeOutcome } from './cache/outcome-message.ts';
import type { FlightOutcome, Lease, Leases } from './cache/ports.ts';

type Ask =
  | {
      readonly kind: 'acquire';
      readonly call: number;
      readonly key: string;
      readonly stamp: Sequence;
    }
  | {
      readonly kind: 'settle';
      readonly key: string;
      readonly stamp: Sequence;
      readonly outcome: EncodedOutcome;
    };

type Reply =
  | { readonly kind: 'lead'; readonly call: number }
  | { readonly kind: 'outcome'; readonly call: number; readonly outcome: EncodedOutcome };

interface Waiting {
  readonly decide: (lease: Lease) => void;
  readonly key: string;
  readonly stamp: Sequence;
}

/** The store thread's side: answers one worker until its port closes, then frees what it held. */
export function serveLeases(table: LeaseTable, port: MessagePort, worker: WorkerId): void {
  port.on('message', (ask: Ask) => {
    if (ask.kind === 'settle') {
      table.settle(worker, ask.key, ask.stamp, decodeOutcome(ask.outcome));
      return;
    }
    const { call } = ask;
    const leads = table.acquire(worker, ask.key, ask.stamp, (outcome) =>
      port.postMessage({ kind: 'outcome', call, outcome: encodeOutcome(outcome) } satisfies Reply),
    );
    if (leads) port.postMessage({ kind: 'lead', call } satisfies Reply);
  });
  port.on('close', () => table.release(worker));
}

/** The worker's side. */
export function connectLeases(port: MessagePort): Leases {
  const waiting = new Map<number, Waiting>();
  let calls = 0;
  port.on('message', (reply: Reply) => {
    const asked = waiting.get(reply.call);
    if (asked === undefined) return;
    waiting.delete(reply.call);
    if (reply.kind === 'lead') asked.decide(lead(port, asked));
    else {
      const outcome = Promise.resolve(decodeOutcome(reply.outcome));
      asked.decide({ kind: 'follow', outcome });
    }
  });
  return {
    acquire(key, stamp) {
      calls += 1;
      const call = calls;
      port.postMessage({ kind: 'acquire', call, key, stamp } satisfies Ask);
      return new Promise<Lease>((decide) => waiting.set(call, { decide, key, stamp }));
    },
  };
}

function lead(port: MessagePort, asked: Waiting): Lease {
  return {
    kind: 'lead',
    settle(outcome: FlightOutcome) {
      const { key, stamp } = asked;
      port.postMessage({
        kind: 'settle',
        key,
        stamp,
        outcome: encodeOutcome(outcome),
      } satisfies Ask);
    },
  };
}
