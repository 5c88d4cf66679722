/**
 * Streams of application code: a client follows a `Resource` class (`connect`, or `subscribe` where
 * the class has no `connect`), or sends a message to it (`publish`). Whoever may read may follow;
 * what is published needs the right to create. Each message is made inside the call, as rows are.
 */
import { refusal } from '../base/refusals.ts';
import { Call } from './call.ts';
import type { MessageStream } from './message-stream.ts';
import { type Method, ownMethod, type Resource } from './resource.ts';
import {
  beforeDeadline,
  type CallRequest,
  type CallSurroundings,
  checkPermission,
  targetOf,
} from './run-call.ts';
import { threadScope } from './thread-scope.ts';

/** What of this a class takes part in. */
export interface StreamParts {
  readonly follows: boolean;
  readonly publishes: boolean;
}

export function streamsOf(type: typeof Resource): StreamParts {
  const has = (name: string): boolean =>
    ownMethod(type, name) !== undefined || ownMethod(type.prototype, name) !== undefined;
  return { follows: has('connect') || has('subscribe'), publishes: has('publish') };
}

/** Rejects when the client may not follow; nothing of the stream is begun. */
export async function admitToStream(
  type: typeof Resource,
  request: CallRequest,
  around: CallSurroundings,
): Promise<void> {
  await inCall(request, around, type.name, async () => {
    const target = await targetOf(type, request);
    await checkPermission(type, 'allowRead', target, request);
    if (target.checkPermission)
      throw refusal('denied', { verb: 'subscribe', what: `to ${type.name}` });
  });
}

/** The method by which a class is followed: `connect`, unless it has only the other. */
export type Way = 'connect' | 'subscribe';

export interface StreamClient {
  /** What it says; absent where it cannot say anything. */
  readonly incoming?: MessageStream | undefined;
  readonly way?: Way | undefined;
}

/** What the class yields to a client that was admitted. */
export async function openStream(
  type: typeof Resource,
  request: CallRequest,
  { incoming, way = wayOf(type) }: StreamClient,
  around: CallSurroundings,
): Promise<AsyncIterableIterator<unknown>> {
  const call = callOf(request, around);
  const within = <T>(fn: () => Promise<T>): Promise<T> => threadScope().calls.run(call, fn);
  const opening = within(async () => {
    const target = await targetOf(type, request);
    const method = Reflect.get(type, way) as Method;
    const said = way === 'connect' ? [incoming] : [];
    const result: unknown = await method.apply(type, [target, ...said, request.context]);
    return iteratorOf(type, result);
  });
  const inner = await beforeDeadline(opening, type.name, around);
  const stream: AsyncIterableIterator<unknown> = {
    [Symbol.asyncIterator]: () => stream,
    async next() {
      const result = await within(async () => inner.next());
      // What the code wrote for this message is there before the message is.
      await call.transaction.commit();
      return result;
    },
    async return() {
      await within(async () => inner.return?.()).catch(around.late);
      return { value: undefined, done: true };
    },
  };
  return stream;
}

/** Hands a message to the class; its writes are committed when this resolves. */
export function publishTo(
  type: typeof Resource,
  request: CallRequest,
  around: CallSurroundings,
): Promise<unknown> {
  return inCall(request, around, type.name, async () => {
    const target = await targetOf(type, request);
    await checkPermission(type, 'allowCreate', target, request);
    const { context } = request;
    const method = Reflect.get(type, 'publish') as Method;
    return method.apply(type, [target, context.data, context]);
  });
}

async function inCall<T>(
  request: CallRequest,
  around: CallSurroundings,
  name: string,
  run: () => Promise<T>,
): Promise<T> {
  const call = callOf(request, around);
  try {
    const result = await beforeDeadline(threadScope().calls.run(call, run), name, around);
    await call.transaction.commit();
    return result;
  } catch (error) {
    call.transaction.abort();
    throw error;
  }
}

const callOf = ({ context, may }: CallRequest, { commit }: CallSurroundings): Call =>
  new Call({ context, commit, may });

/** `prefers`: what MQTT asks of a class that has both, since it has no use for a conversation. */
export function wayOf(type: typeof Resource, prefers: Way = 'connect'): Way {
  if (ownMethod(type, 'subscribe') === undefined) return 'connect';
  if (prefers === 'subscribe') return 'subscribe';
  const connects = ownMethod(type, 'connect') ?? ownMethod(type.prototype, 'connect');
  return connects === undefined ? 'subscribe' : 'connect';
}

function iteratorOf(type: typeof Resource, result: unknown): AsyncIterator<unknown> {
  if (typeof result === 'object' && result !== null) {
    if (Symbol.asyncIterator in result) {
      return (result as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    }
    if (Symbol.iterator in result) return fromIterable(result as Iterable<unknown>);
  }
  throw new TypeError(`${type.name}: connect and subscribe yield an iterable, such as a generator`);
}

async function* fromIterable(values: Iterable<unknown>): AsyncGenerator<unknown> {
  yield* values;
}
