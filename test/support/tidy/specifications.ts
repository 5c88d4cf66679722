/**
 * A machine has a SPEC.md beside it, and each of its invariants (`R1`, `R2`, …) names the test that
 * enforces it by its title, in double quotes or backticks. A title counts when a test so begins.
 */
import ts from 'typescript';
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

function quotedIn(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]{8,})"|`([^`]{8,})`/g)].map(
    (match) => match[1] ?? match[2] ?? '',
  );
}

/** Machines without a SPEC.md, and invariants that name no test there is. */
export function unprovenInvariants(
  files: readonly SourceText[],
  titles: readonly string[],
): Finding[] {
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
      .filter(
        ({ text }) => !quotedIn(text).some((quote) => titles.some((t) => t.startsWith(quote))),
      )
      .map(({ id, line }) => ({
        file: path,
        line,
        rule: 'specifications',
        message: `${id} names no test that exists`,
        cure: 'quote the title of the test that enforces it',
      }));
  });
}
