/**
 * Loads an application's `resources/`: every module, compiled together, and from their exports the
 * paths and classes to be served. An exported class `Hello` serves `/Hello`, `export { C as
 * '/w/:id' }` that path, an object of classes the paths below its name, a default export `/`.
 */
import type { Problem } from '../schema/problem.ts';
import { ClassPlaces } from './class-places.ts';
import { loadTogether } from './compile.ts';
import { PathTree } from './path-tree.ts';
import { noRegistrations, type Registrations } from './registrations.ts';
import { isResourceClass, type Resource } from './resource.ts';
import { threadScope } from './thread-scope.ts';

export interface LoadedResource {
  /** Without the leading slash; '' is the root. */
  readonly path: string;
  readonly type: typeof Resource;
}

export interface LoadedResources
  extends Pick<Registrations, 'handlers' | 'sources' | 'computed' | 'operations'> {
  readonly resources: readonly LoadedResource[];
}

export type ResourceLoad =
  | { readonly loaded: LoadedResources; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly loaded?: undefined };

const NESTING_MAX = 8;
export const NO_RESOURCES: LoadedResources = { ...noRegistrations(), resources: [] };

/** `files` are absolute; tables must be bound, since classes may extend them. */
export async function loadResources(
  files: readonly string[],
  folder: string,
): Promise<ResourceLoad> {
  if (files.length === 0) return { loaded: NO_RESOURCES };
  const places = new ClassPlaces(files, folder);
  const scope = threadScope();
  const collected = noRegistrations();
  scope.registrations = collected;
  try {
    const code = await loadTogether(files, folder);
    if (code.exports === undefined) return { problems: code.problems };
    const resources = files.flatMap((_, index) => exportsOf(code.exports[`module${index}`], ''));
    for (const { path, resource } of collected.resources) {
      if (isResourceClass(resource)) resources.push(placed(path.replace(/^\//, ''), resource));
    }
    const problems = clashes(resources, places);
    if (problems.length > 0) return { problems };
    return { loaded: { ...collected, resources } };
  } finally {
    scope.registrations = undefined;
  }
}

/** Classes among the exports of a module, or among the members of an exported object. */
function exportsOf(exported: unknown, prefix: string, depth = 0): LoadedResource[] {
  if (typeof exported !== 'object' || exported === null || depth > NESTING_MAX) return [];
  return Object.entries(exported).flatMap(([name, value]) => {
    const path = name === 'default' && depth === 0 ? '' : `${prefix}${name.replace(/^\//, '')}`;
    if (isResourceClass(value)) return [placed(path, value, prefix)];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && path !== '' ? exportsOf(value, `${path}/`, depth + 1) : [];
  });
}

/** `static path` stands for the exported name; beginning with a slash, for the whole path. */
function placed(path: string, type: typeof Resource, prefix = ''): LoadedResource {
  const own = Object.hasOwn(type, 'path') ? type.path : undefined;
  if (own === undefined) return { path, type };
  return { path: own.startsWith('/') ? own.slice(1) : `${prefix}${own}`, type };
}

/** Paths that two classes claim. */
function clashes(resources: readonly LoadedResource[], places: ClassPlaces): Problem[] {
  const tree = new PathTree<typeof Resource>();
  return resources.flatMap(({ path, type }): Problem[] => {
    if (tree.set(path, type)) return [];
    const message = `two resources are exported for /${path}, one of them ${type.name}`;
    const cure = 'export one of them under another name, or give it a static path';
    return [{ ...places.of(type), message, cure }];
  });
}
