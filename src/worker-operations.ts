/**
 * `server.operation(…)` between threads: operations run on the store thread, where the admin port
 * is. Code on an app thread sends the document there and is told what came of it.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import { asNodeError, type ErrorCode, NodeError } from './base/errors.ts';
import { type RunOperation, threadScope } from './resource/thread-scope.ts';

interface Ask {
  readonly kind: 'operation';
  readonly call: number;
  readonly document: Readonly<Record<string, unknown>>;
  readonly by: string;
}

interface Reply {
  readonly kind: 'operated';
  readonly call: number;
  readonly answer?: object | undefined;
  readonly error?: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** The store thread's side. */
export function serveOperations(worker: Worker): void {
  worker.on('message', (ask: Ask) => {
    if (ask.kind !== 'operation') return;
    const { call } = ask;
    operated(ask).then(
      (answer) => worker.postMessage({ kind: 'operated', call, answer } satisfies Reply),
      (thrown: unknown) => {
        const { code, message } = asNodeError(thrown);
        worker.postMessage({ kind: 'operated', call, error: { code, message } } satisfies Reply);
      },
    );
  });
}

async function operated({ document, by }: Ask): Promise<object> {
  const { runOperation } = threadScope();
  if (runOperation === undefined) throw notOpen();
  return runOperation(document, by);
}

/** The side of an app thread. */
export function connectOperations(port: MessagePort): RunOperation {
  const waiting = new Map<number, (reply: Reply) => void>();
  let calls = 0;
  port.on('message', (reply: Reply) => {
    if (reply.kind !== 'operated') return;
    waiting.get(reply.call)?.(reply);
    waiting.delete(reply.call);
  });
  port.unref();
  return async (document, by) => {
    calls += 1;
    const call = calls;
    const replied = new Promise<Reply>((resolve) => waiting.set(call, resolve));
    port.postMessage({ kind: 'operation', call, document, by } satisfies Ask);
    const { answer, error } = await replied;
    if (error !== undefined) {
      throw new NodeError(error.code, error.message, { blame: blameOf(error.code) });
    }
    return answer ?? {};
  };
}

/** What the caller can mend is told to be the caller's. */
const blameOf = (code: ErrorCode) => (code === 'INTERNAL' ? 'node' : 'client');

const notOpen = (): NodeError =>
  new NodeError('SHUTTING_DOWN', 'the node does not take operations yet', { retry: 'later' });
