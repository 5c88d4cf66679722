/**
 * Answers one request by a `Resource` class: may this client, which method, within the deadline,
 * its writes committed before the answer. Whatever the code does, exactly one answer or error comes
 * out; what it does after the deadline is ignored and not stored.
 */
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import { refusal as accessRefusal } from '../base/refusals.ts';
import { askedConfirmation, type WantedConfirmation } from '../table/confirmation.ts';
import { type ResourceAnswer, toAnswer } from './answer.ts';
import { Call, type MayDo, type ReadFacts } from './call.ts';
import type { Context } from './context.ts';
import { deny, RequestTarget } from './request-target.ts';
import { type HOOKS, type Method, ownMethod, type Resource } from './resource.ts';
import { ENDLESS } from './table-feed.ts';
import { ACCESS, accessOf, boundForHook, type TableResource } from './table-resource.ts';
import { threadScope } from './thread-scope.ts';
import type { Commit } from './transaction.ts';

export interface CallRequest {
  /** Upper case, one that the class answers. */
  readonly method: string;
  /** Raw path after the resource's own. */
  readonly path: string;
  readonly query: string;
  readonly params: Readonly<Record<string, string>>;
  readonly wildcard: string | undefined;
  readonly context: Context;
  readonly may: MayDo;
}

export interface CallSurroundings {
  readonly commit: Commit;
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Told of a result that came after the deadline had answered for it. */
  readonly late: (error: unknown) => void;
}

export interface AnsweredCall {
  readonly answer: ResourceAnswer;
  readonly reads: ReadFacts;
  /** What the code wants confirmed before it is answered. */
  readonly wanted?: WantedConfirmation | undefined;
}

type Hook = (typeof HOOKS)[number];
const VERBS = {
  GET: { method: 'get', hook: 'allowRead' },
  HEAD: { method: 'get', hook: 'allowRead' },
  PUT: { method: 'put', hook: 'allowUpdate' },
  PATCH: { method: 'patch', hook: 'allowUpdate' },
  POST: { method: 'post', hook: 'allowCreate' },
  DELETE: { method: 'delete', hook: 'allowDelete' },
} as const satisfies Record<string, { method: string; hook: Hook }>;

/** Rejects with what the code threw, or with `DEADLINE_EXCEEDED`. */
export async function runCall(
  type: typeof Resource,
  request: CallRequest,
  around: CallSurroundings,
): Promise<AnsweredCall> {
  const { context } = request;
  const call = new Call({ context, commit: around.commit, may: request.may });
  const running = threadScope().calls.run(call, async () => answerOf(type, request));
  try {
    const answer = await beforeDeadline(running, type.name, around);
    const wanted = askedConfirmation(context, inContext);
    await call.transaction.commit();
    return { answer: streamed(answer, call, type.name, around), reads: call.reads, wanted };
  } catch (error) {
    call.transaction.abort();
    // A thrown answer undoes the writes like any other.
    if (error instanceof Response) return { answer: toAnswer(error, false), reads: call.reads };
    throw error;
  }
}

const inContext = (message: string): Error => new TypeError(`context.${message}`);

/** Rows are made while they are sent: still inside the call, and each within the deadline. */
function streamed(
  answer: ResourceAnswer,
  call: Call,
  name: string,
  around: CallSurroundings,
): ResourceAnswer {
  const { body } = answer;
  if (body.kind !== 'rows') return answer;
  return { ...answer, body: { kind: 'rows', rows: guarded(body.rows, call, name, around) } };
}

async function* guarded(
  rows: AsyncIterable<unknown>,
  call: Call,
  name: string,
  around: CallSurroundings,
): AsyncGenerator<unknown> {
  const within = <T>(fn: () => Promise<T>): Promise<T> => threadScope().calls.run(call, fn);
  const iterator = rows[Symbol.asyncIterator]();
  const accept = call.context.headers.get('accept') ?? '';
  // Who follows changes does not expect the next one in time.
  const isEndless = ENDLESS in rows || accept.includes('text/event-stream');
  let ended = false;
  try {
    for (;;) {
      const next = within(async () => iterator.next());
      const { value, done } = await (isEndless ? next : beforeDeadline(next, name, around));
      ended = done === true;
      if (ended) return;
      yield value;
    }
  } finally {
    // Not awaited: code that hangs would hang here too.
    if (!ended) void within(async () => iterator.return?.()).catch(around.late);
  }
}

async function answerOf(type: typeof Resource, request: CallRequest): Promise<ResourceAnswer> {
  const verb = VERBS[request.method as keyof typeof VERBS];
  const isRead = verb.method === 'get';
  const target = await targetOf(type, request);
  await checkPermission(type, verb.hook, target, request);
  const method = Reflect.get(type, verb.method) as Method;
  const { context } = request;
  const args = isRead || verb.method === 'delete' ? [target] : [target, context.data];
  const result: unknown = await method.apply(type, [...args, context]);
  // A denied read which went on has to have said, by now, that it answers for the access itself.
  if (target.checkPermission) throw refusal(type, context);
  return withContext(toAnswer(result, isRead), context);
}

/** What the code said beside its result; the result itself comes on top. */
function withContext(answer: ResourceAnswer, context: Context): ResourceAnswer {
  const { headers } = answer;
  const said = [...headers.keys()];
  for (const [name, value] of context.responseHeaders) {
    if (!said.includes(name)) headers.append(name, value);
  }
  if (context.lastModified !== undefined && !headers.has('last-modified')) {
    headers.set('last-modified', new Date(context.lastModified).toUTCString());
  }
  return answer;
}

type ParsePath = (path: string, context: Context, query: RequestTarget) => unknown;

/** What the path and the query of a request name, as code sees it. */
export async function targetOf(
  type: typeof Resource,
  request: CallRequest,
): Promise<RequestTarget> {
  const { path, query, params, wildcard, context } = request;
  if (type.directURLMapping === true) {
    const id = path.replace(/^\//, '') + (query === '' ? '' : `?${query}`);
    return new RequestTarget({ path, id, isCollection: id === '' });
  }
  const scope = isTableType(type) ? () => accessOf(type).table().scope : undefined;
  const target = new RequestTarget({ path, query, params, wildcard, scope });
  for (const [name, value] of Object.entries(params)) {
    if (!(name in target)) Object.defineProperty(target, name, { value, enumerable: true });
  }
  const parsePath: unknown = Reflect.get(type, 'parsePath');
  if (typeof parsePath !== 'function') return target;
  const parsed = await (parsePath as ParsePath).call(
    type,
    path.replace(/^\//, ''),
    context,
    target,
  );
  if (typeof parsed === 'string' || typeof parsed === 'number') target.id = parsed;
  else if (typeof parsed === 'object' && parsed !== null) Object.assign(target, parsed);
  return target;
}

/**
 * Hooks decide before the method runs. With `loadAsInstance = false` a refused read is begun all
 * the same, marked as denied: such a method may take the decision upon itself.
 */
export async function checkPermission(
  type: typeof Resource,
  hook: Hook,
  target: RequestTarget,
  { context }: CallRequest,
): Promise<void> {
  const own = ownMethod(type, hook);
  const isWrite = hook === 'allowUpdate' || hook === 'allowCreate';
  const args = [context.user, isWrite ? context.data : target, context];
  const instance = own === undefined ? await asked(type, hook, target, context) : undefined;
  const allowed: unknown = await (instance === undefined
    ? own?.apply(type, args)
    : (Reflect.get(instance, hook) as Method).apply(instance, args));
  if (allowed === true) return;
  const error = refusal(type, context);
  if (hook !== 'allowRead' || type.loadAsInstance !== false) throw error;
  deny(target, error);
}

/** The instance whose hook is asked: the record itself where the class is of records. */
async function asked(
  type: typeof Resource,
  hook: Hook,
  target: RequestTarget,
  context: Context,
): Promise<Resource> {
  const ofRecords = type.loadAsInstance !== false && isTableType(type);
  if (!ofRecords || ownMethod(type.prototype, hook) === undefined) {
    return new type(target.id, context);
  }
  return boundForHook(type, target, context, hook === 'allowRead');
}

const isTableType = (type: typeof Resource): type is typeof TableResource => ACCESS in type;

function refusal(type: typeof Resource, { user, method }: Context): NodeError {
  const opener = 'static public, or an allow... method of the class,';
  const barred = { verb: method, what: type.name, opener };
  return accessRefusal(user === undefined ? 'unauthenticated' : 'denied', barred);
}

/** Rejects with `DEADLINE_EXCEEDED`; what comes after it is told to `late`. */
export function beforeDeadline<T>(
  task: Promise<T>,
  name: string,
  around: CallSurroundings,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const cancel = around.clock.after(durationMs(around.deadlineMs), () => {
      over = true;
      reject(
        new NodeError('DEADLINE_EXCEEDED', `${name} did not answer in ${around.deadlineMs} ms`, {
          retry: 'later',
        }),
      );
    });
    task.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        if (over) around.late(error);
        else reject(error);
      },
    );
  });
}
