/**
 * `config.yaml`, by which applications of Harper say what their files are for. Without one the
 * application's folder speaks for itself; with one, only what it names is used. Parts that this
 * node cannot run are reported with their line, never passed over.
 */
import { join } from 'node:path';
import type { SourcePlace } from '../schema/definition.ts';
import { suggest } from '../schema/nearest.ts';
import type { ProblemList } from '../schema/problem.ts';
import { filesMatching, readText } from './application-files.ts';
import type { SettingEntry, SettingNode } from './setting-node.ts';
import type { Substitutes } from './substitute.ts';
import { readYaml } from './yaml-file.ts';

export const COMPONENT_FILE = 'config.yaml';

/** What such a file says the application consists of; paths are relative, with slashes. */
export interface Component {
  readonly schemaFiles: readonly string[];
  readonly resourceFiles: readonly string[];
  readonly seedFiles: readonly string[];
  /** The folder whose files are served; `undefined` for none. */
  readonly staticFolder: string | undefined;
}

/** What a part does with its entry in the file. */
type Part = 'files' | 'folder' | 'switch' | 'elsewhere';

const PARTS: Readonly<Record<string, Part>> = {
  rest: 'switch',
  graphqlSchema: 'files',
  jsResource: 'files',
  static: 'folder',
  dataLoader: 'files',
  // Read by name from the same folder whether or not this file names them.
  roles: 'elsewhere',
  loadEnv: 'elsewhere',
};

const REFUSED: Readonly<Record<string, string>> = {
  fastifyRoutes: 'write a resource in resources.js instead',
  graphql: 'query tables over REST instead',
  nextjs: 'run the renderer by itself and put a @pages table in front of it',
};

/** `undefined` when the application has no such file. */
export function readComponent(
  folder: string,
  substitutes: Substitutes,
  problems: ProblemList,
): Component | undefined {
  const text = readText(join(folder, COMPONENT_FILE), COMPONENT_FILE, problems);
  if (text === undefined) return undefined;
  const node = readYaml(text, COMPONENT_FILE, substitutes, problems);
  const entries = node?.kind === 'map' ? node.entries : new Map<string, SettingEntry>();
  for (const [name, entry] of entries) checkPart(name, entry, problems);
  const files = (name: string): readonly string[] => {
    const entry = entries.get(name);
    if (entry === undefined) return [];
    return patternsOf(entry.value, name, problems).flatMap((pattern) =>
      matched(folder, pattern, entry.key, problems),
    );
  };
  return {
    schemaFiles: files('graphqlSchema'),
    resourceFiles: files('jsResource'),
    seedFiles: files('dataLoader'),
    staticFolder: staticFolder(entries.get('static'), problems),
  };
}

function checkPart(name: string, { key, value }: SettingEntry, problems: ProblemList): void {
  const refused = REFUSED[name];
  const isPackage = value.kind === 'map' && value.entries.has('package');
  if (refused !== undefined) {
    problems.add(key, `${name} cannot be run here`, { cure: refused });
  } else if (isPackage) {
    problems.add(key, `${name} is a plugin of another product`, {
      cure: 'write what it does as a resource, or as an extension in millrace.yaml',
    });
  } else if (PARTS[name] === undefined) {
    problems.add(key, `${name} is no part of an application`, {
      cure: suggest(name, new Set(Object.keys(PARTS))),
    });
  }
  const urlPath = value.kind === 'map' ? value.entries.get('urlPath') : undefined;
  if (urlPath === undefined || isRoot(urlPath.value)) return;
  problems.add(urlPath.key, `${name} cannot be moved to another path`, {
    cure: 'name the path where it is exported: @export(name:), or the folder of static files',
  });
}

const isRoot = (node: SettingNode): boolean => node.kind === 'scalar' && node.value === '/';

/** `files: pattern`, a list of them, or `{ source, ignore }`. */
function patternsOf(node: SettingNode, name: string, problems: ProblemList): readonly string[] {
  const files = node.kind === 'map' ? (node.entries.get('files')?.value ?? node) : node;
  const written = files.kind === 'map' ? (files.entries.get('source')?.value ?? files) : files;
  const items = written.kind === 'list' ? written.items : [written];
  return items.flatMap((item) => {
    const value = item.kind === 'scalar' ? item.value : undefined;
    if (value === true) return [DEFAULT_FILES[name] ?? []].flat();
    if (typeof value === 'string' && !/(^|\/)\.\.(\/|$)|^\//.test(value)) return [value];
    problems.add(item.place, `${name}.files is no pattern of files in this folder`, {
      cure: `write ${name}: { files: ${DEFAULT_FILES[name] ?? "'web/**'"} }`,
    });
    return [];
  });
}

const DEFAULT_FILES: Readonly<Record<string, string>> = {
  graphqlSchema: '*.graphql',
  jsResource: 'resources.js',
  dataLoader: 'data/*.json',
};

function matched(
  folder: string,
  pattern: string,
  place: SourcePlace,
  problems: ProblemList,
): readonly string[] {
  const files = filesMatching(folder, pattern);
  if (files.length === 0) {
    problems.add(place, `no file is called ${pattern}`, { cure: 'name a file that is there' });
  }
  return files;
}

/** The folder before the first wildcard: `web/**` serves `web`. */
function staticFolder(entry: SettingEntry | undefined, problems: ProblemList): string | undefined {
  if (entry === undefined) return undefined;
  const [pattern] = patternsOf(entry.value, 'static', problems);
  if (pattern === undefined) return undefined;
  const fixed = pattern.split('/').filter((segment) => segment !== '.');
  const wild = fixed.findIndex((segment) => segment.includes('*'));
  const folder = (wild === -1 ? fixed : fixed.slice(0, wild)).join('/');
  if (folder !== '') return folder;
  problems.add(entry.key, 'static files need a folder of their own', {
    cure: "write static: { files: 'web/**' }",
  });
  return undefined;
}
