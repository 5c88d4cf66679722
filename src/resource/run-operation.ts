/**
 * Operations that code of an application adds to the operations API by `server.operation({ name,
 * execute })`. Each runs as a call of its own: within the deadline of resources, its writes
 * committed before it answers, its faults told to the log and to nobody else.
 */
import { NodeError } from '../base/errors.ts';
import { Call } from './call.ts';
import type { Context, User } from './context.ts';
import { failureOf } from './failure.ts';
import type { RegisteredOperation } from './registrations.ts';
import { beforeDeadline, type CallSurroundings } from './run-call.ts';
import { threadScope } from './thread-scope.ts';

/** Rejects with a `NodeError` that may be shown to whoever asked. */
export async function runRegistered(
  operation: RegisteredOperation,
  document: Readonly<Record<string, unknown>>,
  user: User | undefined,
  around: CallSurroundings,
): Promise<object> {
  const context = contextOf(document, user);
  const call = new Call({ context, commit: around.commit, may: () => true });
  try {
    const running = threadScope().calls.run(call, async () => operation.execute(document, context));
    const answer = await beforeDeadline(running, operation.name, around);
    await call.transaction.commit();
    if (answer === undefined || answer === null) return { message: `${operation.name} is done` };
    return typeof answer === 'object' ? answer : { message: answer };
  } catch (thrown) {
    call.transaction.abort();
    const { error, isFault } = failureOf(thrown);
    if (!isFault) throw error;
    around.late(thrown);
    throw error.code === 'INTERNAL'
      ? new NodeError('INTERNAL', `the operation ${operation.name} failed`, { cause: thrown })
      : error;
  }
}

const contextOf = (document: unknown, user: User | undefined): Context => ({
  ...{ user, method: 'POST', url: '/', pathname: '/', host: '', ip: '', data: document },
  headers: new Headers(),
  responseHeaders: new Headers(),
  signal: new AbortController().signal,
});
