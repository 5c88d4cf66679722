/**
 * A reload across threads: the store thread sends a worker what it has read, the worker prepares
 * its own parts and says what would change; then it is told to take over, or to let go.
 */
import type { MessagePort } from 'node:worker_threads';
import { NodeError } from './base/errors.ts';
import type { Configuration, PreparedParts, ReloadParts } from './config/reload.ts';
import type { PreparedThread, ReloadThread } from './node-reload.ts';
import type { Problem } from './schema/problem.ts';

export type ReloadAsk =
  | { readonly kind: 'prepare'; readonly call: number; readonly next: Configuration }
  | { readonly kind: 'apply' | 'discard'; readonly call: number };

export type ReloadReply =
  | {
      readonly kind: 'ready';
      readonly call: number;
      readonly changes: readonly string[];
      readonly restarts: readonly string[];
    }
  | { readonly kind: 'refused'; readonly call: number; readonly problems: readonly Problem[] }
  | { readonly kind: 'done'; readonly call: number };

/** The worker's side; answers until its port closes. */
export function serveReload(parts: ReloadParts, port: MessagePort): void {
  const prepared = new Map<number, Extract<PreparedParts, { kind: 'ready' }>>();
  const reply = (message: ReloadReply) => port.postMessage(message);
  port.on('message', (ask: ReloadAsk) => {
    const { call } = ask;
    if (ask.kind === 'prepare') {
      void parts.prepare(ask.next).then((made) => {
        if (made.kind === 'refused')
          return reply({ kind: 'refused', call, problems: made.problems });
        prepared.set(call, made);
        const { changes, restarts } = made;
        reply({ kind: 'ready', call, changes: [...changes], restarts: [...restarts] });
      });
      return;
    }
    const made = prepared.get(call);
    prepared.delete(call);
    if (ask.kind === 'apply') made?.apply();
    const left = ask.kind === 'discard' ? made?.discard() : undefined;
    void Promise.resolve(left).then(() => reply({ kind: 'done', call }));
  });
}

/** The store thread's side. A worker that ends ends the node: nobody waits for it then. */
export function reloadOver(port: MessagePort): ReloadThread {
  const waiting = new Map<number, (reply: ReloadReply) => void>();
  let calls = 0;
  port.on('message', (reply: ReloadReply) => {
    const heard = waiting.get(reply.call);
    waiting.delete(reply.call);
    heard?.(reply);
  });
  port.on('close', () => {
    const problem = { file: 'reload', line: 0, column: 0, message: 'an app thread ended' };
    for (const [call, heard] of waiting) heard({ kind: 'refused', call, problems: [problem] });
    waiting.clear();
  });
  const ask = (message: ReloadAsk): Promise<ReloadReply> =>
    new Promise((resolve) => {
      waiting.set(message.call, resolve);
      port.postMessage(message);
    });
  const tell = async (kind: 'apply' | 'discard', call: number): Promise<void> => {
    await ask({ kind, call });
  };
  return {
    async prepare(next): Promise<PreparedThread> {
      calls += 1;
      const call = calls;
      const reply = await ask({ kind: 'prepare', call, next });
      if (reply.kind === 'refused') return reply;
      if (reply.kind !== 'ready') throw new NodeError('INTERNAL', 'an app thread answered amiss');
      const { changes, restarts } = reply;
      return {
        kind: 'ready',
        changes,
        restarts,
        apply: () => tell('apply', call),
        discard: () => tell('discard', call),
      };
    },
  };
}
