/**
 * Rules that need no syntax tree: sizes of files and lines, file names, opening comments, marks of
 * unfinished work, and words of the place where the code was written. Patterns that would match
 * themselves are assembled from pieces.
 */
import type { Finding, SourceText } from './finding.ts';

const FILE_LINES_MAX = 500;
const LINE_COLUMNS_MAX = 100;
const CODE = /^(src|origins|cache-policies|test|loadtest)\/.*\.ts$/;

const at = (
  file: SourceText,
  line: number,
  rule: string,
  message: string,
  cure: string,
): Finding => ({ file: file.path, line, rule, message, cure });

export function fileSize(file: SourceText): Finding[] {
  const count = file.lines.length - (file.lines.at(-1) === '' ? 1 : 0);
  if (!CODE.test(file.path) || count <= FILE_LINES_MAX) return [];
  const cure = `split it by responsibility; ${FILE_LINES_MAX} is the most, aim at 50 to 250`;
  return [at(file, FILE_LINES_MAX, 'file-size', `${count} lines`, cure)];
}

/** Lines that cannot be wrapped: an address, or a test's title on the line of its call. */
const UNBREAKABLE = /https?:\/\/\S+|^\s*(await )?(it|test|describe)\b[^(]*\(\s*['"`]/;

export function lineWidth(file: SourceText): Finding[] {
  if (!CODE.test(file.path)) return [];
  return file.lines.flatMap((line, index) =>
    line.length <= LINE_COLUMNS_MAX || UNBREAKABLE.test(line)
      ? []
      : [at(file, index + 1, 'line-width', `${line.length} columns`, 'wrap it at 100')],
  );
}

const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.(config|test|test-d|d))?\.(ts|js|mjs)$/;

export function fileNames(file: SourceText): Finding[] {
  const name = file.path.slice(file.path.lastIndexOf('/') + 1);
  if (!/\.(ts|js|mjs)$/.test(name) || KEBAB.test(name) || file.path.includes('/fixtures/')) {
    return [];
  }
  return [at(file, 1, 'file-names', name, 'name it in kebab-case after its main export')];
}

const SCENARIO = /^([bcs]\d{3}|r\d+)(-[a-z0-9]+)+\.test\.ts$/;

export function scenarioNames(file: SourceText): Finding[] {
  const name = file.path.replace('test/scenario/', '');
  const isScenario = file.path.startsWith('test/scenario/') && name.endsWith('.test.ts');
  if (!isScenario || SCENARIO.test(name)) return [];
  const cure = 'b001-… basic, c001-… complex, s001-… slow, r<issue>-… regression (STYLE §1.8)';
  return [at(file, 1, 'scenario-names', name, cure)];
}

/** A file that fits a screen may say what it is in one line. */
const SHORT_LINES_MAX = 80;

/** The comment a file opens with, its delimiters included; '' when there is none. */
function openingComment(text: string): string {
  const body = text.replace(/^#!.*\n/, '');
  const block = /^\/\*[\s\S]*?\*\//.exec(body)?.[0];
  return block ?? /^(\/\/.*\n)+/.exec(body)?.[0].trimEnd() ?? '';
}

export function openingComments(file: SourceText): Finding[] {
  if (!CODE.test(file.path) || file.path.includes('/fixtures/')) return [];
  const lines = openingComment(file.text).split('\n').filter(Boolean).length;
  const isShort = file.lines.length <= SHORT_LINES_MAX;
  const least = /^(src|origins)\//.test(file.path) && !isShort ? 3 : 1;
  if (lines >= least) return [];
  const message = lines === 0 ? 'no opening comment' : `an opening comment of ${lines} lines`;
  const cure = 'say in 3 to 15 lines what the file answers for, what not, and its invariants';
  return [at(file, 1, 'opening-comment', message, cure)];
}

const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);

export function unfinished(file: SourceText): Finding[] {
  if (!/\.(ts|js|mjs|css|html)$/.test(file.path)) return [];
  return file.lines.flatMap((line, index) =>
    UNFINISHED.test(line) && !/#\d+/.test(line)
      ? [at(file, index + 1, 'unfinished', line.trim(), 'do it, or name its issue: (#12)')]
      : [],
  );
}

/** Paths and names of the machine and the tools with which the code was written. */
const FOREIGN = new RegExp(
  [
    `/${'wo'}rk/(main|steering|shared|\\.lib${'rary'}|\\.mirr${'or'})`,
    `/${'fa'}rm/`,
    `${'fa'}rm-(bench|studio)`,
    `registry\\.${'npm'}js`,
    `/${'tm'}p/${'bash'}_jobs`,
    `${'before'}-stop`,
  ].join('|'),
);

export function foreignWords(file: SourceText): Finding[] {
  if (file.path === 'package-lock.json') return lockAddresses(file);
  return file.lines.flatMap((line, index) =>
    FOREIGN.test(line)
      ? [at(file, index + 1, 'foreign-words', line.trim().slice(0, 80), 'take it out')]
      : [],
  );
}

function lockAddresses(file: SourceText): Finding[] {
  const index = file.lines.findIndex((line) => /"resolved": "https?:/.test(line));
  if (index < 0) return [];
  const cure = 'regenerate the lock with omit-lockfile-registry-resolved=true';
  return [at(file, index + 1, 'foreign-words', 'the lock records download addresses', cure)];
}
