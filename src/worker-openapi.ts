/**
 * `GET /openapi` of one thread: what is exported, cut down to what the one who asks may use. Made
 * once for each kind of reader.
 */
import { accessTo, authorise } from './access/authorise.ts';
import type { Principal } from './access/principal.ts';
import { NodeError } from './base/errors.ts';
import type { HttpHandler } from './protocols/http/port.ts';
import { replyProblem } from './protocols/http/problem.ts';
import { type DescribedResource, openApiDocument } from './protocols/rest/openapi.ts';
import { type Identification, identify } from './protocols/rest/rest-call.ts';
import { extendedTable } from './resource/application-table.ts';
import type { LoadedResource } from './resource/load-resources.ts';
import { methodsOf, ownMethod, type PublicVerb, type Resource } from './resource/resource.ts';
import { type TableDefinition, VERBS } from './schema/definition.ts';
import type { PreparedApplication } from './worker-resources.ts';

export const OPENAPI_PATH = '/openapi';
/** Stands for the grants of the administrator. */
const EVERYTHING = {};
/** Of the description, not of the application. */
const VERSION = '1';

export function createOpenApi(prepared: PreparedApplication, parts: Identification): HttpHandler {
  // By the grants: a reload makes new ones.
  const texts = new WeakMap<object, string>();
  return (exchange) => {
    const { method } = exchange.request;
    if (method !== 'GET' && method !== 'HEAD') {
      const error = new NodeError('METHOD_NOT_ALLOWED', 'the description takes GET and HEAD', {
        blame: 'client',
      });
      return replyProblem(exchange, error, ['allow', 'GET, HEAD']);
    }
    const principal = identify(exchange, parts);
    if (principal === undefined) return undefined;
    const reader = principal.kind === 'admin' ? EVERYTHING : principal.grants;
    let text = texts.get(reader);
    if (text === undefined) {
      text = JSON.stringify(describedFor(prepared, principal));
      texts.set(reader, text);
    }
    const headers = ['content-type', 'application/json', 'vary', 'authorization'];
    const isAnonymous = principal.kind === 'anonymous';
    const cacheControl = isAnonymous ? 'no-cache' : 'private, no-cache';
    return exchange.reply(200, [...headers, 'cache-control', cacheControl], text);
  };
}

function describedFor({ application, resources }: PreparedApplication, principal: Principal) {
  const { schema, folder } = application;
  const replaced = new Set(resources.resources.map(({ path }) => path));
  const tables = schema.tables.flatMap((definition) => {
    const name = definition.export?.name;
    const isServed = name !== undefined && !definition.hidden && name !== '*';
    if (!isServed || (replaced.has(name) && !standsBehind(name, resources.resources))) return [];
    const verbs = VERBS.filter((verb) => accessTo(principal, definition, verb).kind !== 'none');
    const shown = shownTo(principal, definition);
    return verbs.length === 0 ? [] : [{ name, definition: shown, verbs: new Set(verbs) }];
  });
  return openApiDocument({
    title: folder.slice(folder.lastIndexOf('/') + 1),
    version: VERSION,
    tables,
    resources: resources.resources.flatMap((one) => describedResource(one, principal)),
    objects: schema.objects,
  });
}

/** The attributes which the reader may name for some verb. */
function shownTo(principal: Principal, definition: TableDefinition): TableDefinition {
  const mayName = (name: string): boolean =>
    (['read', 'insert', 'update'] as const).some((verb) => {
      const access = accessTo(principal, definition, verb);
      return access.kind === 'whole' || (access.kind === 'limited' && access.rows.mayName(name));
    });
  const attributes = definition.attributes.filter(({ name }) => mayName(name));
  return attributes.length === definition.attributes.length
    ? definition
    : { ...definition, attributes };
}

/** A class over the table of its own name: its paths are those of the table. */
const standsBehind = (name: string, resources: readonly LoadedResource[]): boolean =>
  resources.some(({ path, type }) => path === name && extendedTable(type)?.export?.name === name);

function describedResource(
  { path, type }: LoadedResource,
  principal: Principal,
): DescribedResource[] {
  const methods = methodsOf(type).filter((method) => mayUse(type, method, principal));
  const isTable = extendedTable(type)?.export?.name === path;
  if (isTable || !methods.some((method) => method !== 'OPTIONS')) return [];
  const description: unknown = Reflect.get(type, 'description');
  return [
    {
      path,
      name: type.name,
      methods,
      description: typeof description === 'string' ? description : undefined,
    },
  ];
}

const GRANTS: Readonly<Record<string, readonly [hook: string, verb: PublicVerb]>> = {
  GET: ['allowRead', 'read'],
  HEAD: ['allowRead', 'read'],
  PUT: ['allowUpdate', 'update'],
  PATCH: ['allowUpdate', 'update'],
  POST: ['allowCreate', 'insert'],
  DELETE: ['allowDelete', 'delete'],
};

/** A hook of the class's own may allow it for some requests: then it is shown. */
function mayUse(type: typeof Resource, method: string, principal: Principal): boolean {
  const grant = GRANTS[method];
  if (grant === undefined || principal.kind === 'admin') return true;
  const [hook, verb] = grant;
  if (ownMethod(type, hook) !== undefined || ownMethod(type.prototype, hook) !== undefined) {
    return true;
  }
  const table = extendedTable(type);
  if (table !== undefined && authorise(principal, table, verb) === 'allowed') return true;
  return type.public?.includes(verb) === true;
}
