/**
 * What a request changed at the origin, and so may not be answered from the cache any more
 * [RFC9111 §4.4]: its own target, and those that `Location` and `Content-Location` name on the same
 * host. A failed request changes nothing. Pure.
 */
import { parseCacheGroups } from '../reply-fields.ts';
import { fieldOf } from './fields.ts';
import type { FieldLines } from './ports.ts';

/** [RFC9110 §9.2.1] Any other method may have changed something. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']);

export const isUnsafe = (method: string): boolean => !SAFE.has(method);

export const changedSomething = (method: string, status: number): boolean =>
  isUnsafe(method) && status >= 200 && status < 400;

/**
 * The groups of this host that the origin says are not what they were [RFC9875 §3]. A group of the
 * same name on another host is another group [RFC9875 §2.1].
 */
export function invalidatedGroups(host: string, fields: FieldLines): readonly string[] {
  const told = fieldOf(fields, 'cache-group-invalidation');
  if (told === undefined) return [];
  const names = parseCacheGroups(told).slice(0, GROUPS_MAX);
  return names.map((group) => groupOnHost(host, group));
}

const GROUPS_MAX = 64;

/** Stored beside a group's own name, so that the group of one host can be meant alone. */
export const groupOnHost = (host: string, group: string): string =>
  `//${host.toLowerCase()}/${group}`;

/** Whether a stored group is one made by `groupOnHost`. */
export const isGroupOnHost = (group: string): boolean => group.startsWith('//');

/** Targets (path and query) on the same host, the request's own first. */
export function changedTargets(
  request: { readonly host: string; readonly target: string },
  fields: FieldLines,
): readonly string[] {
  const targets = new Set([request.target]);
  for (const name of ['location', 'content-location']) {
    const named = targetOn(request, fieldOf(fields, name));
    if (named !== undefined) targets.add(named);
  }
  return [...targets];
}

/** The path and query of a reference, when it stays on the host. */
export function targetOn(
  { host, target }: { readonly host: string; readonly target: string },
  reference: string | undefined,
): string | undefined {
  if (reference === undefined) return undefined;
  const base = `http://${host}${target}`;
  if (!URL.canParse(reference, base)) return undefined;
  const url = new URL(reference, base);
  return url.host === new URL(base).host ? url.pathname + url.search : undefined;
}
