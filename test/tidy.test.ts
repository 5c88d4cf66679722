/**
 * The house rules of STYLE, as far as a program can read them. Each rule is a function in
 * `test/support/tidy/`; this file runs all of them over the repository, and each over a piece of
 * code that breaks it, so that a rule which has gone blind fails too.
 */
import { describe, expect, it } from 'vitest';
import {
  determinism,
  emptyName,
  environment,
  forms,
  functionSize,
  hiddenTests,
  limitsWhereUsed,
  names,
} from './support/tidy/code-rules.ts';
import {
  describeFinding,
  type Finding,
  parse,
  type Rule,
  type SourceText,
  sourceText,
} from './support/tidy/finding.ts';
import {
  importCycles,
  layerDirection,
  libraryFolder,
  publicSurfaceOnly,
} from './support/tidy/imports.ts';
import { parsedFiles, repositoryFiles } from './support/tidy/repository.ts';
import { testTitles, unprovenInvariants } from './support/tidy/specifications.ts';
import {
  fileNames,
  fileSize,
  foreignWords,
  lineWidth,
  openingComments,
  scenarioNames,
  unfinished,
} from './support/tidy/text-rules.ts';

const files = repositoryFiles();
const parsed = parsedFiles(files);

/** Fails with every finding, one a line, as file:line, rule, cure. */
function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(describeFinding).join('\n')).toBe('');
}

describe('the repository', () => {
  const codeRules: Readonly<Record<string, Rule>> = {
    'imports point to lower layers [STYLE §1.2]': layerDirection,
    'a library is imported in one folder only [STYLE §1.2]': libraryFolder,
    'origins and policies import the public surface only [STYLE §1.1]': publicSurfaceOnly,
    'only configuration reads the environment [STYLE §1.2]': environment,
    'the core takes clock and randomness as parameters [STYLE §1.2]': determinism,
    'there is no any, no !, no enum, no default export, no barrel [STYLE §1.6]': forms,
    'no function is longer than 70 lines [STYLE §1.7]': functionSize,
    'no test is hidden [STYLE §1.8]': hiddenTests,
    'limits are read where they are used': limitsWhereUsed,
    'names say what a thing is [STYLE §1.3]': names,
  };
  it.each(Object.entries(codeRules))('%s', (_title, rule) => expectNone(parsed.flatMap(rule)));

  const textRules: Readonly<Record<string, (file: SourceText) => Finding[]>> = {
    'no file is longer than 500 lines [STYLE §1.7]': fileSize,
    'no line is wider than 100 columns [STYLE §1.7]': lineWidth,
    'files are named in kebab-case [STYLE §1.3]': fileNames,
    'scenarios are named by kind and number [STYLE §1.8]': scenarioNames,
    'each file opens by saying what it answers for [STYLE §1.4]': openingComments,
    'unfinished work names its issue [STYLE §1.4]': unfinished,
    'nothing names the machine it was written on': foreignWords,
  };
  it.each(Object.entries(textRules))('%s', (_title, rule) => expectNone(files.flatMap(rule)));

  it('has no cycle of imports [STYLE §1.2]', () => {
    expectNone(importCycles(parsed.filter((file) => file.path.startsWith('src/'))));
  });

  it('specifies its machines, each invariant with its test [STYLE §1.9]', () => {
    expectNone(unprovenInvariants(files, testTitles(parsed)));
  });
});

describe('a rule sees what breaks it', () => {
  const broken: readonly (readonly [rule: Rule, path: string, code: string])[] = [
    [layerDirection, 'src/cache/a.ts', "import { x } from '../table/b.ts';"],
    [layerDirection, 'src/cache/a.ts', "import { x } from '../schema/b.ts';"],
    [layerDirection, 'src/protocols/rest/a.ts', "import { x } from '../sse/b.ts';"],
    [layerDirection, 'src/table/a.ts', "const b = await import('../store/b.ts');"],
    [layerDirection, 'src/feed/a.ts', "export { start } from '../node.ts';"],
    [layerDirection, 'src/elsewhere/a.ts', ''],
    [libraryFolder, 'src/table/a.ts', "import { open } from 'lmdb';"],
    [libraryFolder, 'src/store/a.ts', "import { open } from 'lmdb';"],
    [libraryFolder, 'src/base/a.ts', "import left from 'left-pad';"],
    [publicSurfaceOnly, 'origins/a.ts', "import { x } from '../src/base/a.ts';"],
    [environment, 'src/origin/a.ts', 'const home = process.env.HOME;'],
    [determinism, 'src/cache/a.ts', 'const now = Date.now();'],
    [determinism, 'src/table/a.ts', 'const now = new Date();'],
    [determinism, 'src/feed/a.ts', 'const n = Math.random();'],
    [forms, 'src/base/a.ts', 'let x: any;'],
    [forms, 'src/base/a.ts', 'const y = x!;'],
    [forms, 'src/base/a.ts', 'enum Color { Red }'],
    [forms, 'src/base/a.ts', 'export default 1;'],
    [forms, 'src/base/a.ts', 'export default function f() {}'],
    [forms, 'src/base/a.ts', "export * from './b.ts';"],
    [functionSize, 'src/base/a.ts', `function f() {${'\n'.repeat(71)}}`],
    [limitsWhereUsed, 'src/base/a.ts', 'const MAX = 2 * LIMITS.waitersMax;'],
    [limitsWhereUsed, 'src/base/a.ts', 'const { waitersMax } = LIMITS;'],
    [limitsWhereUsed, 'src/base/a.ts', 'class A { static readonly max = LIMITS.waitersMax; }'],
    [hiddenTests, 'test/unit/a.test.ts', "it.only('x', () => {});"],
    [names, 'src/base/a.ts', 'export const cacheManager = 1;'],
    [names, 'src/base/string-utils.ts', ''],
  ];
  it.each(broken)('%o in %s: %s', (rule, path, code) => {
    expect(rule(parse(sourceText(path, code)))).not.toEqual([]);
  });

  const brokenText: readonly (readonly [(file: SourceText) => Finding[], string, string])[] = [
    [fileSize, 'src/a.ts', 'x\n'.repeat(501)],
    [lineWidth, 'src/a.ts', 'x'.repeat(101)],
    [fileNames, 'src/base/boundedCache.ts', ''],
    [scenarioNames, 'test/scenario/first.test.ts', ''],
    [openingComments, 'src/a.ts', 'export const x = 1;'],
    [openingComments, 'src/a.ts', `// too short${'\n'.repeat(80)}`],
    [unfinished, 'src/a.ts', `// ${'TO'}DO later`],
    [foreignWords, 'README.md', `see /${'wo'}rk/main/src`],
    [foreignWords, 'package-lock.json', '"resolved": "https://example.com/a.tgz"'],
  ];
  it.each(brokenText)('%o in %s', (rule, path, text) => {
    expect(rule(sourceText(path, text))).not.toEqual([]);
  });

  it('sees a cycle, and none where only a type is imported', () => {
    const a = parse(sourceText('src/base/a.ts', "import { b } from './b.ts';"));
    const value = parse(sourceText('src/base/b.ts', "import { a } from './a.ts';"));
    const type = parse(sourceText('src/base/b.ts', "import type { a } from './a.ts';"));
    expect(importCycles([a, value])).toHaveLength(1);
    expect(importCycles([a, type])).toHaveLength(0);
  });

  it('sees an invariant whose test is not there', () => {
    const spec = sourceText('src/cache/SPEC.md', '- R1 The clock. Test: "reads the clock once"\n');
    expect(unprovenInvariants([spec], ['reads the clock once [R1]'])).toEqual([]);
    expect(unprovenInvariants([spec], ['holds [RFC9111 §4, R1]'])).toEqual([]);
    expect(unprovenInvariants([spec], ['another title [R10]'])).toHaveLength(1);
  });

  it('lets protocols name what they handle, and nobody else', () => {
    expect(emptyName('handleUpgrade', 'src/protocols/http/a.ts')).toBeUndefined();
    expect(emptyName('handleUpgrade', 'src/table/a.ts')).toBeDefined();
  });
});
