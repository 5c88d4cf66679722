/**
 * What lies in an application's folder, by name. Files are listed and read here, nowhere else in
 * this part; their content is judged by the parsers.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { SourcePlace } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';

export interface NamedFile {
  /** The file's name without its extension: what the schema calls it by. */
  readonly name: string;
  readonly kind: 'yaml' | 'code';
  /** Absolute. */
  readonly path: string;
  /** Relative to the application, with slashes: how problems speak of it. */
  readonly file: string;
}

const YAML = /\.ya?ml$/;
const CODE = /\.[cm]?[jt]s$/;
const IGNORED = /^[._]|\.d\.[cm]?ts$|\.(test|spec)\.[cm]?[jt]s$/;
const FILES_MAX = 1_000;

export const wholeFile = (file: string): SourcePlace => ({ file, line: 0, column: 0 });

/** The YAML and code files directly inside `folder/part`, by name; none without such a folder. */
export function listFiles(folder: string, part: string, problems: ProblemList): NamedFile[] {
  const files: NamedFile[] = [];
  for (const entry of entriesOf(join(folder, part)).sort()) {
    if (IGNORED.test(entry)) continue;
    const kind = YAML.test(entry) ? 'yaml' : CODE.test(entry) ? 'code' : undefined;
    if (kind === undefined) continue;
    const name = entry.replace(kind === 'yaml' ? YAML : CODE, '');
    const file = `${part}/${entry}`;
    if (!/^[\w.-]+$/.test(name)) {
      problems.add(wholeFile(file), `${JSON.stringify(name)} cannot be a name`, {
        cure: 'name the file with letters, digits, ., _ and -',
      });
    } else files.push({ name, kind, path: join(folder, part, entry), file });
  }
  if (files.length > FILES_MAX) {
    problems.add(wholeFile(part), `has more than ${FILES_MAX} files`);
  }
  return withoutDuplicates(files.slice(0, FILES_MAX), problems);
}

function withoutDuplicates(files: readonly NamedFile[], problems: ProblemList): NamedFile[] {
  const byName = new Map<string, NamedFile>();
  for (const file of files) {
    const first = byName.get(file.name);
    if (first === undefined) byName.set(file.name, file);
    else {
      problems.add(wholeFile(file.file), `${file.name} is defined twice`, {
        cause: `${first.file} defines it already`,
        cure: 'keep one of the two files',
      });
    }
  }
  return [...byName.values()];
}

/**
 * Files below `folder` (relative, with slashes) that a pattern names: `*` within a segment, `**`
 * for any number of them, `{a,b}` for either. What begins with a dot and `node_modules` are passed
 * over.
 */
export function filesMatching(folder: string, pattern: string): readonly string[] {
  const test = patternTest(pattern);
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relativePath(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => !/(^|\/)(\.|node_modules\/)/.test(file) && test.test(file));
  return files.sort().slice(0, FILES_MAX);
}

const relativePath = (folder: string, path: string): string =>
  path
    .slice(folder.length + 1)
    .split(sep)
    .join('/');

function patternTest(pattern: string): RegExp {
  const parts = pattern.replace(/^\.\//, '').split(/(\*\*\/|\*\*|\*|\{[^{}]*\})/);
  const source = parts.map((part) => {
    if (part === '**/') return '(?:[^/]+/)*';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (/^\{.*\}$/.test(part)) return `(?:${part.slice(1, -1).split(',').map(literal).join('|')})`;
    return literal(part);
  });
  return new RegExp(`^${source.join('')}$`);
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A file's text; `undefined` when there is none. A file that cannot be read is reported. */
export function readText(path: string, file: string, problems: ProblemList): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT') problems.add(wholeFile(file), `cannot be read (${code ?? 'unknown'})`);
    return undefined;
  }
}
