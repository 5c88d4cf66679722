/**
 * What application code on this thread stands in: the tables it may use, the call it is answering,
 * where its log lines go, what it registers while it is being loaded.
 *
 * One a thread, on the global object under a registered symbol, since an application's compiled
 * code may import another copy of this module than the node that fills it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ApplicationTable } from './application-table.ts';
import type { BlobHome } from './blob.ts';
import type { Call } from './call.ts';
import type { ContentTypeHandler } from './content-types.ts';
import type { User } from './context.ts';
import type { Measurement } from './measurements.ts';
import type { Registrations } from './registrations.ts';
import type { Resource } from './resource.ts';
import type { FillTerms } from './source-call.ts';
import type { OpenFeed } from './table-feed.ts';

/** Finds a table by its type name; `undefined` when there is none of that name. */
export type TableFinder = (name: string, database?: string) => ApplicationTable | undefined;

export type LogLine = (
  level: 'debug' | 'info' | 'warn' | 'error',
  facts: object,
  text: string,
) => void;

/** `by`: in whose name it is done, for logs. */
export type RunOperation = (
  document: Readonly<Record<string, unknown>>,
  by: string,
) => Promise<object>;

export interface ResourceMatch {
  readonly Resource: typeof Resource | ApplicationTable;
  /** Without slashes around it. */
  readonly path: string;
  /** What stands behind it: '' or beginning with a slash. */
  readonly relativeURL: string;
}

export interface NodeFacts {
  readonly hostname: string;
  readonly workerIndex: number;
  readonly config: Readonly<Record<string, unknown>>;
  authenticate(username: string, password: string): Promise<User | undefined>;
  match(path: string): ResourceMatch | undefined;
}

export interface ThreadScope {
  findTable: TableFinder | undefined;
  writeLog: LogLine | undefined;
  /** Where this thread serves subscribers. */
  openFeed: OpenFeed | undefined;
  /** A call that no request began: of a timer, of a source. */
  newCall: (() => Call) | undefined;
  /** Where bytes of blobs are kept. */
  bodies: BlobHome | undefined;
  /** Runs an operation on the store thread. */
  runOperation: RunOperation | undefined;
  /** What code may ask of the node that runs it. */
  node: NodeFacts | undefined;
  /** What a fetch by an origin in code has to know to write rows of other tables. */
  newFillTerms: (() => FillTerms) | undefined;
  /** Set while modules are being loaded: later registrations are refused. */
  registrations: Registrations | undefined;
  readonly calls: AsyncLocalStorage<Call>;
  /** Media types that the application added. */
  readonly contentTypes: Map<string, ContentTypeHandler>;
  readonly measurements: { readonly series: Map<string, Measurement>; lost: number };
}

const SCOPE = Symbol.for('millrace.threadScope');
const holder = globalThis as { [SCOPE]?: ThreadScope };

/** The scope of this thread, made when first asked for. */
export function threadScope(): ThreadScope {
  holder[SCOPE] ??= {
    findTable: undefined,
    writeLog: undefined,
    openFeed: undefined,
    newCall: undefined,
    bodies: undefined,
    runOperation: undefined,
    node: undefined,
    newFillTerms: undefined,
    registrations: undefined,
    calls: new AsyncLocalStorage<Call>(),
    contentTypes: new Map(),
    measurements: { series: new Map(), lost: 0 },
  };
  return holder[SCOPE];
}

/** The call which the running code answers; `undefined` outside of one. */
export const currentCall = (): Call | undefined => threadScope().calls.getStore();
