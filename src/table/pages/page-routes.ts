/**
 * Which page table takes a request: one for its very host before one for a family of hosts
 * (`*.example.com`) before one for all; among those of a host the longest path, a whole path before
 * a pattern. The same for requests, operations and subscriptions. What is compared with every
 * request is prepared once. A path that an origin may resolve to one of another table
 * (`/blog/../account`) is taken by none: the rules of that table would be circumvented. Nor is one
 * that an origin which does not mind case may take for one of a table that not everybody may read.
 */
import { foldedPath, resolvedPath } from '../../cache/pages/path-forms.ts';

export interface PagePlace {
  /** As declared: `/blog/*` takes everything below, `/about` only itself. */
  readonly path: string;
  /** Lower case, maybe with a port, maybe `*.` and what the hosts end with; `undefined`: any. */
  readonly host: string | undefined;
}

interface Asked {
  readonly path: string;
  header(name: string): string | undefined;
}

type Matches = (path: string, host: string, name: string) => boolean;

/**
 * The table of a request; `undefined` says that none takes it. `isGuarded`: whether not everybody
 * may read the page of the table at that path.
 */
export function pageRoutes<T extends PagePlace>(
  resources: readonly T[],
  isGuarded: (resource: T, path: string) => boolean = () => false,
): (request: Asked) => T | undefined {
  const ordered = [...resources]
    .sort((left, right) => rank(right) - rank(left))
    .map((resource) => ({ resource, matches: matcherOf(resource) }));
  const isByHost = resources.some(({ host }) => host !== undefined);
  const find = (path: string, told: string, name: string): T | undefined => {
    for (const { resource, matches } of ordered) if (matches(path, told, name)) return resource;
    return undefined;
  };
  return (request) => {
    const told = isByHost ? (request.header('host') ?? '').toLowerCase() : '';
    const name = isByHost ? withoutPort(told) : '';
    const found = find(request.path, told, name);
    if (ordered.length < 2) return found;
    const resolved = resolvedPath(request.path);
    if (resolved !== undefined && find(resolved, told, name) !== found) return undefined;
    const folded = foldedPath(resolved ?? request.path);
    const other = folded === undefined ? found : find(folded, told, name);
    const isOther = folded !== undefined && other !== undefined && other !== found;
    return isOther && isGuarded(other, folded) ? undefined : found;
  };
}

/** Longer than any path or host: a better host counts for more than any path. */
const ABOVE_ALL = 1_000_000;

function rank({ host, path }: PagePlace): number {
  const byPath = path.length * 2 + (path.endsWith('*') ? 0 : 1);
  if (host === undefined) return byPath;
  // Of two families the smaller one, whose common end is longer.
  const byHost = host.startsWith('*.')
    ? ABOVE_ALL * host.length
    : ABOVE_ALL * (10_000 + host.length);
  return byHost + byPath;
}

function matcherOf({ path, host }: PagePlace): Matches {
  const start = path.slice(0, -1);
  const takesPath = path.endsWith('*')
    ? (asked: string) => asked.startsWith(start)
    : (asked: string) => asked === path;
  if (host === undefined) return takesPath;
  if (!host.startsWith('*.')) {
    return (asked, told, name) => (told === host || name === host) && takesPath(asked);
  }
  const end = host.slice(1);
  return (asked, told, name) => (name.endsWith(end) || told.endsWith(end)) && takesPath(asked);
}

/** The port of `Host` counts only where a table names one. */
const withoutPort = (host: string): string => {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
};
