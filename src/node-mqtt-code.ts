/**
 * Application code that takes part in MQTT, run on the thread that owns the store, where the server
 * is: which class is at a topic, and what a client may do with it. What a class leaves as it is
 * stays the table's, as over HTTP.
 */
import type { Principal } from './access/principal.ts';
import { NodeError } from './base/errors.ts';
import type { HttpRequest } from './protocols/http/port.ts';
import type { CodeTopic, CodeVerb } from './protocols/mqtt/code-topic.ts';
import { extendedTable } from './resource/application-table.ts';
import { failureOf } from './resource/failure.ts';
import { type PathMatch, PathTree } from './resource/path-tree.ts';
import { methodsOf, type Resource } from './resource/resource.ts';
import { type AnsweredCall, type CallRequest, runCall } from './resource/run-call.ts';
import { admitToStream, openStream, publishTo, streamsOf, wayOf } from './resource/run-stream.ts';
import type { TableDefinition } from './schema/definition.ts';
import {
  type CodeParts,
  callRequest,
  judgesReaders,
  surroundings,
  untouchedMethods,
} from './worker-code.ts';

export type MqttCodeParts = Omit<CodeParts, 'meter'>;

/** Who asks, and from where. */
export interface CodeAsker {
  readonly principal: Principal;
  readonly remoteAddress: string;
}

export interface MqttCode {
  at(filter: string, asker: CodeAsker): CodeTopic | undefined;
  /** Whether a filter is served by code, whoever asks. */
  isOfCode(filter: string): boolean;
  /**
   * Whether a class in front of the table says in `allowRead` who may read it, and has no stream of
   * its own to be asked with. One subscription has the rows of many tables, at topics that are
   * not known when it is made: such a table is not followed over MQTT, but by administrators.
   */
  judgesReaders(table: TableDefinition): boolean;
}

export const NO_CODE: MqttCode = {
  at: () => undefined,
  isOfCode: () => false,
  judgesReaders: () => false,
};

interface CodeClass
  extends Pick<CodeTopic, 'path' | 'follows' | 'takes' | 'hears' | 'isOverTable'> {
  readonly type: typeof Resource;
}

/** `undefined` where no class takes part. */
export function openMqttCode(
  parts: MqttCodeParts,
  tables: Iterable<TableDefinition>,
): MqttCode | undefined {
  const tree = new PathTree<CodeClass | undefined>();
  const judged = new Set<string>();
  let count = 0;
  for (const { path, type } of parts.prepared.resources.resources) {
    const found = codeClass(path, type);
    tree.set(path, found);
    if (found !== undefined) count += 1;
    const table = extendedTable(type);
    if (table?.export?.name === path && judgesReaders(type)) judged.add(table.name);
  }
  if (count === 0 && judged.size === 0) return undefined;
  // The longest path wins, whoever has it.
  for (const { export: exported } of tables) {
    if (exported !== undefined && exported.name !== '*') tree.set(exported.name, undefined);
  }
  return {
    at(filter, asker) {
      const found = matchOf(tree, filter);
      return found && codeTopic(found.type, { ...found, asker, parts });
    },
    isOfCode: (filter) => matchOf(tree, filter)?.type.follows === true,
    judgesReaders: ({ name }) => judged.has(name),
  };
}

/** `undefined`: nothing of the class is said over MQTT. */
function codeClass(path: string, type: typeof Resource): CodeClass | undefined {
  const { follows, publishes } = streamsOf(type);
  const table = extendedTable(type)?.export;
  const isOverTable = table?.name === path && table.protocols.has('mqtt');
  const untouched = isOverTable ? untouchedMethods(type) : NONE;
  const methods = methodsOf(type).filter((method) => !untouched.has(method));
  const takes = new Set<CodeVerb>();
  if (publishes) takes.add('message');
  if (methods.includes('PUT')) takes.add('put');
  if (methods.includes('DELETE')) takes.add('delete');
  if (path === '' || !(follows || publishes || (isOverTable && takes.size > 0))) return undefined;
  const hears = follows && wayOf(type, 'subscribe') === 'connect';
  return { path, type, follows, takes, hears, isOverTable };
}

const NONE: ReadonlySet<string> = new Set();

interface Found {
  readonly type: CodeClass;
  /** The path of an HTTP request for the same. */
  readonly path: string;
  readonly match: PathMatch<unknown>;
}

/** Under a wildcard: the class whose path stands whole before it. */
function matchOf(tree: PathTree<CodeClass | undefined>, filter: string): Found | undefined {
  const wild = filter.search(/[+#]/);
  const literal = wild < 0 ? filter : filter.slice(0, wild);
  if (literal === '' || literal.startsWith('/') || literal.startsWith('$')) return undefined;
  const path = `/${literal.split('/').map(encodeURIComponent).join('/')}`;
  const match = tree.match(path);
  if (match?.value === undefined || (wild >= 0 && match.rest === '')) return undefined;
  return { type: match.value, path, match };
}

interface Bound extends Omit<Found, 'type'> {
  readonly asker: CodeAsker;
  readonly parts: MqttCodeParts;
}

function codeTopic(found: CodeClass, bound: Bound): CodeTopic {
  const { type, path, follows, takes, hears, isOverTable } = found;
  const { around, complain } = surroundings(type, bound.parts);
  const asked = (method: string, signal = NEVER, message?: unknown) =>
    requestOf(bound, { method, signal, message });
  const failure = (thrown: unknown) => {
    const { error, isFault, status } = failureOf(thrown);
    if (isFault) complain(thrown, { topic: bound.path.slice(1) }, 'a resource failed');
    return status === undefined ? error : refusedWith(status, error.message);
  };
  return {
    ...{ path, follows, takes, hears, isOverTable, failure },
    admit: () => admitToStream(type, asked('GET'), around),
    open: ({ incoming, signal }) =>
      openStream(type, asked('GET', signal), { incoming, way: wayOf(type, 'subscribe') }, around),
    async publish(verb, message) {
      try {
        if (verb === 'message') await publishTo(type, asked('POST', NEVER, message), around);
        else accepted(await runCall(type, asked(verb.toUpperCase(), NEVER, message), around));
      } catch (thrown) {
        throw failure(thrown);
      }
    },
  };
}

/** An answer may be a refusal that the code returned, or threw as a `Response`. */
function accepted({ answer: { status } }: AnsweredCall): void {
  if (status >= 400) throw refusedWith(status, `the application answered ${status}`);
}

/** Statuses as a client of MQTT can tell them apart. */
function refusedWith(status: number, message: string): NodeError {
  const isDenied = status === 401 || status === 403;
  return new NodeError(isDenied ? 'ACCESS_DENIED' : 'RESOURCE_REFUSED', message, {
    blame: status < 500 ? 'client' : 'node',
  });
}

const NEVER = new AbortController().signal;

interface Asked {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly message: unknown;
}

function requestOf({ path, match, asker }: Bound, { method, signal, message }: Asked): CallRequest {
  const request: HttpRequest = {
    ...{ method, path, query: '', remoteAddress: asker.remoteAddress },
    header: () => undefined,
    headers: () => [],
  };
  const { rest, params, wildcard } = match;
  const exchange = { request, signal, interim: () => undefined };
  const { principal } = asker;
  return callRequest({ exchange, principal, rest, params, wildcard, body: message });
}
