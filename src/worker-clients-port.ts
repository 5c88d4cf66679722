/**
 * The clients of an app thread, asked from the store thread, where operations run. A thread that
 * does not answer in time is left out.
 */
import type { MessagePort } from 'node:worker_threads';
import type { LiveClients, Whom } from './operations/live/live-clients.ts';

interface Ask {
  readonly call: number;
  readonly what: keyof LiveClients;
  readonly whom: Whom;
  readonly with: unknown;
}
interface Reply {
  readonly call: number;
  readonly answer: unknown;
}

const ANSWER_MS = 2_000;

/** What stands for the answer of a thread that gives none. */
const NONE: Readonly<Record<keyof LiveClients, unknown>> = {
  sessions: { total: 0, rows: [] },
  subscriptions: { total: 0, rows: [] },
  disconnect: 0,
  broadcast: { sent: 0, skipped: 0 },
};

/** The side of an app thread. */
export function serveClients(clients: LiveClients, port: MessagePort): void {
  port.on('message', (ask: Ask) => {
    const run = clients[ask.what] as (whom: Whom, option: unknown) => Promise<unknown>;
    void run(ask.whom, ask.with).then((answer) => {
      port.postMessage({ call: ask.call, answer } satisfies Reply);
    });
  });
  port.unref();
}

/** The store thread's side. */
export function clientsOver(port: MessagePort): LiveClients {
  const waiting = new Map<number, (answer: unknown) => void>();
  let calls = 0;
  port.on('message', ({ call, answer }: Reply) => {
    waiting.get(call)?.(answer);
    waiting.delete(call);
  });
  port.unref();
  const ask = (what: keyof LiveClients) => (whom: Whom, option: unknown) =>
    new Promise<never>((resolve) => {
      calls += 1;
      const call = calls;
      const settle = resolve as (answer: unknown) => void;
      const late = setTimeout(() => {
        waiting.delete(call);
        settle(NONE[what]);
      }, ANSWER_MS);
      waiting.set(call, (answer) => {
        clearTimeout(late);
        settle(answer);
      });
      port.postMessage({ call, what, whom, with: option } satisfies Ask);
    });
  return {
    sessions: ask('sessions'),
    subscriptions: ask('subscriptions'),
    disconnect: ask('disconnect'),
    broadcast: ask('broadcast'),
  };
}
