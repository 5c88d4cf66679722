/**
 * A machine has a SPEC.md beside it, and each of its invariants (`R1`, `R2`, …) has a test which
 * enforces it: a title that begins with the id or carries it as a tag, or one that the invariant
 * quotes, or a test file that the invariant names and that mentions it.
 */
import ts from '@typescript/typescript6';
import { type Finding, type ParsedFile, type SourceText, walk } from './finding.ts';

/** Folders that hold a state machine, once they exist. */
const MACHINES = ['src/cache', 'src/replication', 'src/protocols/mqtt'];

const TEST_CALLS = /^(it|test|describe)\b/;

/** Titles of all tests and groups of tests. */
export function testTitles(files: readonly ParsedFile[]): readonly string[] {
  const titles: string[] = [];
  for (const file of files.filter((one) => one.path.startsWith('test/'))) {
    walk(file.tree, (node) => {
      if (!ts.isCallExpression(node) || !TEST_CALLS.test(node.expression.getText())) return;
      const title = node.arguments[0];
      if (title !== undefined && ts.isStringLiteralLike(title)) titles.push(title.text);
      else if (title !== undefined && ts.isTemplateExpression(title)) titles.push(title.head.text);
    });
  }
  return titles.filter((title) => title.length > 0);
}

interface Invariant {
  readonly id: string;
  readonly line: number;
  readonly text: string;
}

const INVARIANT = /^\s*(?:[-*|]\s*)?\**(R\d+)\b/;

/** The invariants of a SPEC.md: a paragraph, list item or table row that begins with `R<n>`. */
export function invariantsOf(spec: SourceText): readonly Invariant[] {
  const found: Invariant[] = [];
  spec.lines.forEach((line, index) => {
    const id = INVARIANT.exec(line)?.[1];
    const last = found.at(-1);
    if (id !== undefined) found.push({ id, line: index + 1, text: line });
    else if (line.trim() !== '' && last !== undefined && last.line + 12 > index) {
      found[found.length - 1] = { ...last, text: `${last.text} ${line.trim()}` };
    }
  });
  return found;
}

const quotedIn = (text: string): readonly string[] =>
  [...text.matchAll(/"([^"]{8,})"|`([^`]{8,})`/g)].map((match) => match[1] ?? match[2] ?? '');

/** Whether a title carries the invariant's id, or its row names a title or a file that does. */
function isProven(invariant: Invariant, proofs: Proofs): boolean {
  const carried = new RegExp(`^${invariant.id}\\b|\\[[^\\]]*\\b${invariant.id}\\b`);
  if (proofs.titles.some((title) => carried.test(title))) return true;
  const mentions = new RegExp(`\\b${invariant.id}\\b`);
  return quotedIn(invariant.text).some(
    (quote) =>
      proofs.titles.some((title) => title.startsWith(quote)) ||
      proofs.files.some((file) => file.path.endsWith(`/${quote}`) && mentions.test(file.text)),
  );
}

export interface Proofs {
  readonly titles: readonly string[];
  /** The files below `test/`. */
  readonly files: readonly SourceText[];
}

/** Machines without a SPEC.md, and invariants that name no test there is. */
export function unprovenInvariants(
  files: readonly SourceText[],
  titles: readonly string[],
): Finding[] {
  const proofs = { titles, files: files.filter((file) => file.path.startsWith('test/')) };
  return MACHINES.flatMap((folder): Finding[] => {
    if (!files.some((file) => file.path.startsWith(`${folder}/`))) return [];
    const path = `${folder}/SPEC.md`;
    const spec = files.find((file) => file.path === path);
    const missing = { file: path, line: 1, rule: 'specifications' };
    if (spec === undefined) {
      return [{ ...missing, message: 'there is none', cure: 'write it as STYLE §1.9 says' }];
    }
    const invariants = invariantsOf(spec);
    if (invariants.length === 0) {
      return [{ ...missing, message: 'it has no invariant R1', cure: 'name each R<n>' }];
    }
    return invariants
      .filter((invariant) => !isProven(invariant, proofs))
      .map(({ id, line }) => ({
        file: path,
        line,
        rule: 'specifications',
        message: `${id} names no test that exists`,
        cure: `begin a title with "${id} ", tag one [${id}], or name the file that proves it`,
      }));
  });
}
