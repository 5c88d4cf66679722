/**
 * The groups of a page on a response of `node:http` (so of Express, Fastify, Koa, Next): written
 * when the head is, whoever writes it, merged with what the application set itself. Until then
 * everything that was read counts.
 */
import type { ServerResponse } from 'node:http';
import { parseCacheGroups } from '../cache/reply-fields.ts';
import { formatCacheGroups } from '../table/record-groups.ts';
import type { GroupBounds, ToldGroups } from './group-set.ts';
import type { RenderScope } from './scope.ts';

export const GROUPS_FIELD = 'cache-groups';
/** For shared caches only [RFC9213]: what could not be named whole could not be purged. */
export const UNTELLABLE = ['cdn-cache-control', 'no-store'] as const;

type WriteHead = ServerResponse['writeHead'];

export interface HeadTerms {
  readonly bounds: GroupBounds;
  readonly onTold: (told: ToldGroups) => void;
}

/** Has the response tell the groups of the scope; once, however often it is asked. */
export function tellOnHead(response: ServerResponse, scope: RenderScope, terms: HeadTerms): void {
  const writeHead: WriteHead = response.writeHead;
  response.writeHead = ((...given: Parameters<WriteHead>) => {
    response.writeHead = writeHead;
    const args = withoutGroups(given, scope);
    tell(response, scope, terms);
    return writeHead.apply(response, args);
  }) as WriteHead;
}

function tell(response: ServerResponse, scope: RenderScope, terms: HeadTerms): void {
  const own = response.getHeader(GROUPS_FIELD);
  if (own !== undefined) scope.groups.add(parseCacheGroups([own].flat().join(', ')));
  scope.isToldAlready = true;
  if (scope.groups.size === 0) return;
  const told = scope.groups.told(terms.bounds);
  response.setHeader(GROUPS_FIELD, formatCacheGroups(told.names));
  if (told.lost > 0) response.setHeader(...UNTELLABLE);
  terms.onTold(told);
}

/** Groups among the fields that `writeHead` was given are taken out of them, into the scope. */
function withoutGroups(given: Parameters<WriteHead>, scope: RenderScope): Parameters<WriteHead> {
  const at = given.findIndex((one) => typeof one === 'object' && one !== null);
  const fields: unknown = given[at];
  if (at === -1) return given;
  const kept = Array.isArray(fields) ? ofList(fields, scope) : ofObject(fields as object, scope);
  return given.map((one, index) => (index === at ? kept : one)) as Parameters<WriteHead>;
}

function ofObject(fields: object, scope: RenderScope): object {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => !take(name, value, scope)),
  );
}

/** `[name, value, …]`, or `[[name, value], …]`. */
function ofList(fields: readonly unknown[], scope: RenderScope): readonly unknown[] {
  if (Array.isArray(fields[0])) {
    return fields.filter((pair) => !Array.isArray(pair) || !take(pair[0], pair[1], scope));
  }
  const kept: unknown[] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    if (!take(fields[index], fields[index + 1], scope)) kept.push(fields[index], fields[index + 1]);
  }
  return kept;
}

function take(name: unknown, value: unknown, scope: RenderScope): boolean {
  if (String(name).toLowerCase() !== GROUPS_FIELD) return false;
  scope.groups.add(parseCacheGroups([value].flat().join(', ')));
  return true;
}
