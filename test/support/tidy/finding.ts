/**
 * What a house rule reports and reads. A rule is a function from one parsed file to findings; it
 * never throws for a bad file, so that one run shows everything there is to mend.
 */
import ts from '@typescript/typescript6';

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
  readonly cure: string;
}

export interface SourceText {
  /** Path from the top of the repository, with '/'. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

export interface ParsedFile extends SourceText {
  readonly tree: ts.SourceFile;
}

export type Rule = (file: ParsedFile) => Finding[];

export function sourceText(path: string, text: string): SourceText {
  return { path, text, lines: text.split('\n') };
}

export function parse(source: SourceText): ParsedFile {
  const tree = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true);
  return { ...source, tree };
}

/** The line of a node, counted from 1. */
export function lineOf(file: ParsedFile, node: ts.Node): number {
  return file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line + 1;
}

/** Calls `visit` on every node below `root`. */
export function walk(root: ts.Node, visit: (node: ts.Node) => void): void {
  ts.forEachChild(root, (child) => {
    visit(child);
    walk(child, visit);
  });
}

/** One finding as a person wants to read it: where, which rule, what, and what to do. */
export function describeFinding(finding: Finding): string {
  const { file, line, rule, message, cure } = finding;
  return `${file}:${line}  [${rule}] ${message}\n      cure: ${cure}`;
}
