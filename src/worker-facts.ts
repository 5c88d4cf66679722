/** What application code on one thread may ask of the node: `server.config` and its like. */

import { askingWith } from './access/asking.ts';
import type { Authenticator } from './access/authenticate.ts';
import type { Config } from './config/config.ts';
import type { RestResource } from './protocols/rest/resource.ts';
import type { PathTree } from './resource/path-tree.ts';
import { type NodeFacts, type ResourceMatch, threadScope } from './resource/thread-scope.ts';
import { type CodeRoute, userOf } from './worker-code.ts';
import { routePath } from './worker-routes.ts';

export interface FactsParts {
  readonly config: Config;
  readonly workerIndex?: number | undefined;
  readonly identity: { readonly authenticator: Authenticator };
  readonly resources: ReadonlyMap<string, RestResource>;
  readonly code: PathTree<CodeRoute> | undefined;
}

const OWN_CODE = 'an application';

export function nodeFacts(parts: FactsParts): NodeFacts {
  const { config, workerIndex = 0 } = parts;
  const { authenticator } = parts.identity;
  return {
    hostname: config.cluster.name,
    workerIndex,
    config: withoutSecrets(config),
    async authenticate(username, password) {
      const asking = askingWith({ username, password, remoteAddress: OWN_CODE });
      await authenticator.settle(asking);
      const found = authenticator.authenticate(asking);
      return found.kind === 'principal' ? userOf(found.principal) : undefined;
    },
    match: (path) => matchOf(path, parts),
  };
}

function matchOf(path: string, { resources, code }: FactsParts): ResourceMatch | undefined {
  const [pathname = ''] = path.split('?', 1);
  const found = code?.match(pathname);
  const type = found?.value.type;
  if (found !== undefined && type !== undefined) {
    const own = pathname.slice(1, pathname.length - found.rest.length);
    return { Resource: type, path: own, relativeURL: found.rest };
  }
  const table = found?.value.table ?? routePath(resources, pathname)?.resource;
  const definition = table?.table.definition;
  const name = definition?.export?.name;
  if (definition === undefined || name === undefined) return undefined;
  const made = threadScope().findTable?.(definition.typeName, definition.database);
  const relativeURL = pathname.slice(name.length + 1);
  return made && { Resource: made, path: name, relativeURL };
}

const SECRETS: ReadonlySet<string> = new Set(['password', 'token', 'key', 'secret']);

function withoutSecrets(config: object): Readonly<Record<string, unknown>> {
  const entries = Object.entries(config).flatMap(([name, value]) => {
    if (SECRETS.has(name)) return [];
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isMap) return [[name, withoutSecrets(value)] as const];
    // A URL may carry a password too.
    const told = typeof value === 'string' ? value.replace(/\/\/[^/@]*@/, '//') : value;
    return [[name, told] as const];
  });
  return Object.freeze(Object.fromEntries(entries));
}
