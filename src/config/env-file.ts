/**
 * `.env` of an application: variables for `${env.NAME}` and for code, in the notation that such
 * files have everywhere. The environment of the process stands above them, unless `config.yaml`
 * says `loadEnv: { override: true }`.
 *
 * A line that is no assignment is a problem with its place, not a variable which nobody sees.
 */
import { join } from 'node:path';
import { type Problem, ProblemList } from '../schema/problem.ts';
import { filesMatching, isFolder, readText } from './application-files.ts';
import type { SettingNode } from './setting-node.ts';
import { readYaml } from './yaml-file.ts';

export type Variables = Readonly<Record<string, string>>;

export interface ApplicationEnvironment {
  /** The whole environment, as `${env.NAME}` sees it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the files add to the environment of the process, or replace in it. */
  readonly added: Variables;
  readonly problems: readonly Problem[];
}

const ENV_FILE = '.env';
const VARIABLES_MAX = 1_000;

export function applicationEnvironment(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): ApplicationEnvironment {
  const problems = new ProblemList();
  const { files, overrides } = envFiles(folder);
  const added: Record<string, string> = {};
  for (const file of files) {
    const text = readText(join(folder, file), file, problems);
    for (const [name, value] of parseEnv(text ?? '', file, problems)) {
      const isTaken = env[name] !== undefined && !overrides;
      // Of two files the first counts, as everywhere where such files are read.
      if (!isTaken && (added[name] === undefined || overrides)) added[name] = value;
    }
  }
  return { env: { ...env, ...added }, added, problems: problems.sorted() };
}

/** `.env`, or what `loadEnv` of a `config.yaml` names; mistakes in that file are said elsewhere. */
function envFiles(folder: string): { readonly files: readonly string[]; overrides: boolean } {
  const usual = { files: [ENV_FILE], overrides: false };
  if (!isFolder(folder)) return usual;
  const unheard = new ProblemList();
  const text = readText(join(folder, 'config.yaml'), 'config.yaml', unheard);
  const substitutes = { env: {}, readFile: () => undefined, keep: () => true };
  const node = readYaml(text ?? '', 'config.yaml', substitutes, unheard);
  if (node?.kind !== 'map') return usual;
  const part = node.entries.get('loadEnv')?.value;
  if (part?.kind !== 'map') return usual;
  const overrides = part.entries.get('override')?.value;
  return {
    files: textsOf(part.entries.get('files')?.value).flatMap((name) => matching(folder, name)),
    overrides: overrides?.kind === 'scalar' && overrides.value === true,
  };
}

const textsOf = (node: SettingNode | undefined): readonly string[] => {
  const items = node === undefined ? [] : node.kind === 'list' ? node.items : [node];
  const texts = items.flatMap((item) => (item.kind === 'scalar' ? [String(item.value)] : []));
  return texts.length === 0 ? [ENV_FILE] : texts;
};

/** A name that begins with a dot is no pattern: those match no hidden files. */
function matching(folder: string, name: string): readonly string[] {
  const file = name.replace(/^\.\//, '');
  if (/(^|\/)\.\.(\/|$)|^\//.test(file)) return [];
  return file.includes('*') ? filesMatching(folder, file) : [file];
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=[^\S\n]*(.*)$/;
const QUOTED = /^(["'`])((?:\\.|(?!\1)[^\\])*)\1\s*(?:#.*)?$/s;

/** The assignments of such a file in their order. */
export function parseEnv(
  text: string,
  file: string,
  problems: ProblemList,
): readonly (readonly [name: string, value: string])[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const found: (readonly [string, string])[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (/^\s*(#|$)/.test(line)) continue;
    const place = { file, line: at + 1, column: 1 };
    const [, name, first = ''] = ASSIGNMENT.exec(line) ?? [];
    if (name === undefined) {
      problems.add(place, 'is no assignment', { cure: 'write NAME=value, or # before a comment' });
      continue;
    }
    const read = valueAt(lines, at, first);
    if (read === undefined) {
      problems.add(place, `the quotation mark of ${name} is never closed`);
      return found;
    }
    at = read.end;
    found.push([name, read.value]);
  }
  if (found.length <= VARIABLES_MAX) return found;
  problems.add({ file, line: 0, column: 0 }, `has more than ${VARIABLES_MAX} variables`);
  return found.slice(0, VARIABLES_MAX);
}

/** A value, which may go on over lines when it is quoted; `undefined` when it never ends. */
function valueAt(
  lines: readonly string[],
  from: number,
  first: string,
): { readonly value: string; readonly end: number } | undefined {
  const mark = first.charAt(0);
  if (mark === '' || !`"'\``.includes(mark)) {
    return { value: first.replace(/\s+#.*$|^#.*$/, '').trimEnd(), end: from };
  }
  let text = first;
  for (let end = from; end < lines.length; end += 1) {
    if (end > from) text += `\n${lines[end]}`;
    // Only a line with such a mark can be the last one.
    if (end > from && !lines[end]?.includes(mark)) continue;
    const [, , inner] = QUOTED.exec(text) ?? [];
    if (inner !== undefined) return { value: mark === '"' ? unescaped(inner) : inner, end };
  }
  return undefined;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const unescaped = (text: string): string =>
  text.replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
