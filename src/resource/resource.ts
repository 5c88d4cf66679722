/**
 * `Resource`, the base class of custom endpoints: an exported `class Hello extends Resource` serves
 * `/Hello`. Verbs are static methods; with `static loadAsInstance = false` they may be methods of
 * an instance, with the same arguments. Without it an instance's writing verbs get the body first.
 *
 * Marks are `Symbol.for`: an application's compiled code may hold another copy of this module than
 * the node that runs it.
 */
// biome-ignore-all lint/complexity/noThisInStatic: `this` is the application's subclass.
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { Context, User } from './context.ts';
import { MessageStream } from './message-stream.ts';
import type { QueryObject } from './query-object.ts';
import type { RequestTarget } from './request-target.ts';
import { SourceEvents } from './source-events.ts';
import { currentCall } from './thread-scope.ts';

const RESOURCE = Symbol.for('millrace.resource');
/** On methods which nobody has overridden. */
const DEFAULT = Symbol.for('millrace.defaultMethod');

/** What may stand for a target in calls that code makes itself. */
export type Target = RecordId | RequestTarget | QueryObject;
export const CALL_VERBS = ['get', 'search', 'put', 'patch', 'post', 'delete'] as const;
export type CallVerb = (typeof CALL_VERBS)[number];
/** What `static public` may list. */
export type PublicVerb = 'read' | 'insert' | 'update' | 'delete';

/** Marks methods that come with Millrace, to tell what an application has overridden. */
export function markDefaults(holder: object, names: readonly string[]): void {
  for (const name of names) {
    const method: unknown = Reflect.get(holder, name);
    if (typeof method === 'function') Object.defineProperty(method, DEFAULT, { value: true });
  }
}

/** A method of a class or prototype which is the application's own. */
export function ownMethod(holder: object, name: string): Method | undefined {
  const method: unknown = Reflect.get(holder, name);
  return typeof method === 'function' && !(DEFAULT in method) ? (method as Method) : undefined;
}

export type Method = (this: unknown, ...args: unknown[]) => unknown;

export class Resource {
  static readonly [RESOURCE] = true;
  /** False: methods of the instance take `(target, body)`, as static ones do. */
  static loadAsInstance: boolean | undefined;
  /** What anonymous clients may do; nothing unless listed or allowed by a hook. */
  static public: readonly PublicVerb[] | undefined;
  /** Where it is served instead of under its name; `:name` and `*rest` segments are parameters. */
  static path: string | undefined;
  /** The rest of the URL, query included, is the id. */
  static directURLMapping: boolean | undefined;

  readonly #id: RecordId | undefined;
  readonly #context: Context | undefined;

  constructor(id?: RecordId | undefined, context?: Context | undefined) {
    this.#id = id;
    this.#context = context;
  }

  static get(target: Target, context?: Context): unknown {
    const search = ownMethod(this.prototype, 'search') ?? ownMethod(this, 'search');
    const hasGet = ownMethod(this.prototype, 'get') !== undefined;
    if (search !== undefined && (!hasGet || isCollectionTarget(target))) {
      return this.search(target, context);
    }
    return callInstance(this, 'get', [target, context]);
  }
  static search(target: Target, context?: Context): unknown {
    return callInstance(this, 'search', [target, context]);
  }
  static put(target: Target, body?: unknown, context?: Context): unknown {
    return callInstance(this, 'put', [target, body, context]);
  }
  static patch(target: Target, body?: unknown, context?: Context): unknown {
    return callInstance(this, 'patch', [target, body, context]);
  }
  static post(target: Target, body?: unknown, context?: Context): unknown {
    return callInstance(this, 'post', [target, body, context]);
  }
  static delete(target: Target, context?: Context): unknown {
    return callInstance(this, 'delete', [target, context]);
  }
  /** Of a source: a stream whose `send(event)` tells the table of changes. */
  static subscribe(_context?: unknown): unknown {
    return new SourceEvents();
  }
  /**
   * A client follows: what is yielded goes to it. `incoming` is what it says, absent for event
   * streams. Not overridden: a stream to `send` to.
   */
  static connect(target: Target, incoming?: MessageStream, context?: Context): unknown {
    const own = ['connect', 'subscribe'].find((name) => ownMethod(this.prototype, name));
    if (own === undefined) return new MessageStream();
    const args = own === 'connect' ? [target, incoming, context] : [target, context];
    return callInstance(this, own as 'connect' | 'subscribe', args);
  }
  /** A message of a client, which is not to be stored as a record. */
  static publish(target: Target, message?: unknown, context?: Context): unknown {
    return callInstance(this, 'publish', [target, message, context]);
  }
  static isCollection(target: unknown): boolean {
    return isCollectionTarget(target);
  }

  /** Of a source: a stream whose `send(event)` tells the table of changes. */
  subscribe(_context?: unknown): unknown {
    return new SourceEvents();
  }
  connect(_target?: unknown, _incoming?: unknown, _context?: unknown): unknown {
    return new MessageStream();
  }
  getId(): RecordId | undefined {
    return this.#id;
  }
  getContext(): Context | undefined {
    return this.#context ?? currentCall()?.context;
  }

  allowRead(user: User | undefined, _target?: unknown, _context?: Context): Allowed {
    return allowedByClass(this, user, 'read');
  }
  allowUpdate(user: User | undefined, _body?: unknown, _context?: Context): Allowed {
    return allowedByClass(this, user, 'update');
  }
  allowCreate(user: User | undefined, _body?: unknown, _context?: Context): Allowed {
    return allowedByClass(this, user, 'insert');
  }
  allowDelete(user: User | undefined, _target?: unknown, _context?: Context): Allowed {
    return allowedByClass(this, user, 'delete');
  }
}

export type Allowed = boolean | Promise<boolean>;
export const HOOKS = ['allowRead', 'allowUpdate', 'allowCreate', 'allowDelete'] as const;
markDefaults(Resource, [...CALL_VERBS, 'subscribe', 'connect', 'publish']);
markDefaults(Resource.prototype, [...HOOKS, 'subscribe', 'connect']);

export const isResourceClass = (value: unknown): value is typeof Resource =>
  typeof value === 'function' && RESOURCE in value;

const isSuperUser = (user: User | undefined): boolean => user?.role.permission.super_user === true;

function allowedByClass(instance: Resource, user: User | undefined, verb: PublicVerb): boolean {
  const listed = (instance.constructor as typeof Resource).public;
  return listed?.includes(verb) === true || isSuperUser(user);
}

function isCollectionTarget(target: unknown): boolean {
  if (typeof target !== 'object' || target === null) return target === undefined;
  return 'isCollection' in target ? target.isCollection === true : !('id' in target);
}

/** Runs a verb which the class has as a method of its instances. */
export function callInstance(
  type: typeof Resource,
  verb: CallVerb | 'connect' | 'subscribe' | 'publish',
  args: readonly unknown[],
): unknown {
  const method = Reflect.get(type.prototype, verb) as Method | undefined;
  if (typeof method !== 'function') throw methodMissing(type, verb);
  const [target, ...rest] = args;
  const context = rest.at(-1) as Context | undefined;
  const instance = new type(idOf(target), context ?? currentCall()?.context);
  const bodyFirst = type.loadAsInstance !== false && rest.length === 2;
  return method.apply(instance, bodyFirst ? [rest[0], target, context] : [...args]);
}

function idOf(target: unknown): RecordId | undefined {
  if (typeof target === 'string' || typeof target === 'number') return target;
  if (typeof target !== 'object' || target === null || !('id' in target)) return undefined;
  return target.id as RecordId | undefined;
}

const methodMissing = (type: typeof Resource, verb: string): NodeError =>
  new NodeError('METHOD_NOT_ALLOWED', `${type.name} has no ${verb}`, { blame: 'client' });

/** Methods of HTTP which a class answers. */
export function methodsOf(type: typeof Resource): readonly string[] {
  const has = (verb: CallVerb): boolean =>
    ownMethod(type, verb) !== undefined || Reflect.get(type.prototype, verb) !== undefined;
  const methods: string[] = has('get') || has('search') ? ['GET', 'HEAD'] : [];
  for (const verb of ['put', 'patch', 'post', 'delete'] as const) {
    if (has(verb)) methods.push(verb.toUpperCase());
  }
  return [...methods, 'OPTIONS'];
}
