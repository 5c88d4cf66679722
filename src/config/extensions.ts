/**
 * `extensions:` of `millrace.yaml`: packages whose origin kinds, cache policies and resources an
 * application uses as if they were its own. A package is found where the application's own imports
 * would find it, and is a folder like an application: `origins/KIND.js`, `cache-policies/`,
 * `resources/`, all of them below `millrace.folder` of its `package.json` where that is given.
 */
import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ProblemList } from '../schema/problem.ts';
import { isFolder, listFiles, type NamedFile, readText } from './application-files.ts';
import type { SettingNode } from './setting-node.ts';
import { readYaml } from './yaml-file.ts';

export interface Extension {
  readonly name: string;
  readonly kinds: readonly NamedFile[];
  readonly policies: readonly NamedFile[];
  readonly resources: readonly NamedFile[];
}

const CONFIG_FILE = 'millrace.yaml';
const PACKAGE = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i;
const LOCAL = /^\.{1,2}\//;
const ANCESTORS_MAX = 64;

/** The extensions of the application in `folder` (absolute). */
export function readExtensions(folder: string, problems: ProblemList): readonly Extension[] {
  const text = readText(join(folder, CONFIG_FILE), CONFIG_FILE, new ProblemList());
  if (text === undefined || !text.includes('extensions')) return [];
  const substitutes = { env: {}, readFile: () => undefined, keep: () => true };
  // What is no YAML, or no list of names, is said by who reads the configuration.
  const node = readYaml(text, CONFIG_FILE, substitutes, new ProblemList());
  const listed = node?.kind === 'map' ? node.entries.get('extensions')?.value : undefined;
  const items = listed?.kind === 'list' ? listed.items : [];
  return items.flatMap((item) => readExtension(item, folder, problems) ?? []);
}

function readExtension(
  item: SettingNode,
  folder: string,
  problems: ProblemList,
): Extension | undefined {
  const name = item.kind === 'scalar' ? item.value : undefined;
  if (typeof name !== 'string') return undefined;
  const found = LOCAL.test(name) ? localFolder(folder, name) : packageFolder(folder, name);
  if (found === undefined) {
    const cure = LOCAL.test(name)
      ? 'name a folder that is there, relative to the application'
      : `run: npm install ${name}, in the application's folder`;
    problems.add(item.place, `the extension ${name} is not there`, {
      cause: LOCAL.test(name) ? undefined : 'no node_modules at or above the application has it',
      cure,
    });
    return undefined;
  }
  const parts = join(found, folderIn(found, name, item, problems));
  const files = (part: string): readonly NamedFile[] =>
    listFiles(parts, part, problems).map((each) => ({ ...each, file: `${name}/${each.file}` }));
  const extension = {
    name,
    kinds: files('origins').filter(({ kind }) => kind === 'code'),
    policies: files('cache-policies'),
    resources: files('resources').filter(({ kind }) => kind === 'code'),
  };
  const { kinds, policies, resources } = extension;
  if (kinds.length + policies.length + resources.length === 0) {
    problems.add(item.place, `the extension ${name} brings nothing`, {
      cause: 'it has no code in origins/ or resources/, and nothing in cache-policies/',
      cure: 'name the folder that has them as "millrace": { "folder": "dist" } in its package.json',
    });
  }
  return extension;
}

function localFolder(folder: string, name: string): string | undefined {
  const path = resolve(folder, name);
  return isFolder(path) ? path : undefined;
}

/** The nearest installed one, as Node looks for it. */
function packageFolder(folder: string, name: string): string | undefined {
  if (!PACKAGE.test(name)) return undefined;
  let above = folder;
  for (let step = 0; step < ANCESTORS_MAX; step += 1) {
    const path = join(above, 'node_modules', name);
    // Of a linked package, the modules near itself are meant by its imports.
    if (isFolder(path)) return realpathSync(path);
    if (dirname(above) === above) return undefined;
    above = dirname(above);
  }
  return undefined;
}

/** `millrace.folder` of its `package.json`; else the package itself. */
function folderIn(path: string, name: string, item: SettingNode, problems: ProblemList): string {
  const text = readText(join(path, 'package.json'), `${name}/package.json`, problems);
  if (text === undefined) return '.';
  try {
    const manifest: unknown = JSON.parse(text);
    const said = (manifest as { millrace?: { folder?: unknown } } | null)?.millrace?.folder;
    if (said === undefined) return '.';
    if (typeof said === 'string' && !/(^|[\\/])\.\.([\\/]|$)|^[\\/]/.test(said)) return said;
    problems.add(item.place, `millrace.folder of ${name} is no folder inside of it`);
  } catch {
    problems.add(item.place, `package.json of ${name} is no JSON`);
  }
  return '.';
}
