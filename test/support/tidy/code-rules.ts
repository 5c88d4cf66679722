/**
 * Rules about the code itself, read from the syntax tree: what the core may touch, the forms of
 * TypeScript that are not used here, sizes of functions, names of exported things.
 */
import ts from '@typescript/typescript6';
import { type Finding, lineOf, type ParsedFile, type Rule, walk } from './finding.ts';

const FUNCTION_LINES_MAX = 70;

/** Builds a rule that looks at every node of the files whose path matches. */
function perNode(
  rule: string,
  paths: RegExp,
  look: (node: ts.Node, file: ParsedFile) => readonly [message: string, cure: string] | undefined,
): Rule {
  return (file) => {
    if (!paths.test(file.path)) return [];
    const findings: Finding[] = [];
    walk(file.tree, (node) => {
      const seen = look(node, file);
      if (seen === undefined) return;
      const [message, cure] = seen;
      findings.push({ file: file.path, line: lineOf(file, node), rule, message, cure });
    });
    return findings;
  };
}

const isMember = (node: ts.Node, object: string, name: string): boolean =>
  ts.isPropertyAccessExpression(node) &&
  node.name.text === name &&
  ts.isIdentifier(node.expression) &&
  node.expression.text === object;

/** Where the environment is read: configuration, what starts processes, and another process. */
const ENVIRONMENT_READERS = /^src\/(config\/|cli\/|render\/|next\/|main\.ts$)/;

/** `process.env` is read in `config/`, by the entry, and by commands that pass it to a child. */
export const environment: Rule = perNode('environment', /^(src|origins)\//, (node, file) =>
  isMember(node, 'process', 'env') && !ENVIRONMENT_READERS.test(file.path)
    ? ['reads process.env', 'take the value from Config; src/config is its only reader']
    : undefined,
);

const CORE = /^src\/(base|cache|table|feed|schema)\//;
const CLOCKS = /^src\/base\/clock\.ts$/;

function impureCall(node: ts.Node): string | undefined {
  if (isMember(node, 'Date', 'now')) return 'Date.now';
  if (isMember(node, 'Math', 'random')) return 'Math.random';
  if (isMember(node, 'performance', 'now')) return 'performance.now';
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
    return (node.arguments?.length ?? 0) === 0 ? 'new Date()' : undefined;
  }
  if (!ts.isCallExpression(node)) return undefined;
  const name = node.expression.getText();
  return ['Date', 'setTimeout', 'setInterval', 'randomUUID', 'randomBytes'].includes(name)
    ? `${name}()`
    : undefined;
}

/** The core is given its clock and its randomness, so that tests own both. */
export const determinism: Rule = perNode('determinism', CORE, (node, file) => {
  const call = CLOCKS.test(file.path) ? undefined : impureCall(node);
  return call === undefined
    ? undefined
    : [`the core calls ${call}`, 'take a Clock or a random function as a parameter'];
});

const isLimits = (node: ts.Node): node is ts.Identifier =>
  ts.isIdentifier(node) && node.text === 'LIMITS' && !ts.isImportSpecifier(node.parent);

/** Whether a node is evaluated when its module is, and not when something is called or made. */
function isOfModule(node: ts.Node): boolean {
  for (let at: ts.Node = node; at.parent !== undefined; at = at.parent) {
    const isStatic =
      ts.isPropertyDeclaration(at.parent) &&
      at.parent.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword) === true;
    if (ts.isFunctionLike(at.parent) || (ts.isPropertyDeclaration(at.parent) && !isStatic)) {
      return false;
    }
    if (ts.isTypeNode(at)) return false;
  }
  return true;
}

/** What is configured is in force before a function runs, and after modules were evaluated. */
export const limitsWhereUsed: Rule = perNode('limits', /^(src|origins)\//, (node, file) =>
  isLimits(node) && file.path !== 'src/config/limits.ts' && isOfModule(node)
    ? ['keeps a limit as it was before it was configured', 'read LIMITS inside a function']
    : undefined,
);

const CODE = /^(src|origins|cache-policies|test|loadtest)\//;

/** A suppression with its reason on the line before (STYLE: break a rule there, and say why). */
function isArgued(file: ParsedFile, node: ts.Node): boolean {
  const before = file.lines[lineOf(file, node) - 2] ?? '';
  return /biome-ignore lint\/suspicious\/noExplicitAny: \S/.test(before);
}

function unwantedForm(node: ts.Node, file: ParsedFile): readonly [string, string] | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword && !isArgued(file, node)) {
    return ['uses `any`', 'use unknown and narrow it, or name the type'];
  }
  if (ts.isNonNullExpression(node)) return ['uses `!`', "use must(value, 'what') from base/assert"];
  if (ts.isPropertyDeclaration(node) && node.exclamationToken !== undefined) {
    return ['declares a field with `!`', 'initialise it, or make it `| undefined`'];
  }
  if (ts.isEnumDeclaration(node)) return ['declares an enum', 'use a union of string literals'];
  if (ts.isExportAssignment(node)) return ['has a default export', 'export it by name'];
  if (ts.isExportDeclaration(node) && node.exportClause === undefined) {
    return ['has `export *`', 'list what is exported'];
  }
  const isDefault =
    ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.DefaultKeyword);
  return isDefault ? ['has a default export', 'export it by name'] : undefined;
}

/** No `any`, no `!`, no enums, no default exports, no barrels. */
export const forms: Rule = perNode('forms', CODE, unwantedForm);

const TEST_BLOCKS = new Set(['describe', 'it', 'test', 'suite']);

/** The name of a call such as `it(…)`, `it.each(…)(…)` or `describe.for(…)(…)`. */
function blockName(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  let callee: ts.Expression = node.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) {
    callee = callee.expression;
  }
  return ts.isIdentifier(callee) && TEST_BLOCKS.has(callee.text) ? callee.text : undefined;
}

/** A function whose statements declare tests is a table of contents, not a function to follow. */
function declaresTests(node: ts.FunctionLikeDeclaration): boolean {
  const body = node.body;
  if (body === undefined || !ts.isBlock(body)) return false;
  return body.statements.some(
    (one) => ts.isExpressionStatement(one) && blockName(one.expression) !== undefined,
  );
}

/** Functions stay short enough to be seen at once. */
export const functionSize: Rule = perNode('function-size', CODE, (node, file) => {
  if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return undefined;
  if (file.path.startsWith('test/') && declaresTests(node)) return undefined;
  const from = lineOf(file, node);
  const to = file.tree.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
  const length = to - from + 1;
  return length <= FUNCTION_LINES_MAX
    ? undefined
    : [`a function of ${length} lines`, `split it; ${FUNCTION_LINES_MAX} is the most, aim at 20`];
});

/** `only` and its kin hide tests; `skipIf` and `runIf`, which say when, are allowed. */
export const hiddenTests: Rule = perNode('hidden-tests', /^test\//, (node) =>
  ts.isPropertyAccessExpression(node) &&
  ['only', 'skip', 'todo', 'fails'].includes(node.name.text) &&
  ts.isIdentifier(node.expression) &&
  TEST_BLOCKS.has(node.expression.text)
    ? [`${node.getText()} hides tests`, 'mend or delete the test, or use skipIf(condition)']
    : undefined,
);

const BANNED_WORDS = /^(managers?|helpers?|utils?|utilit(y|ies)|misc|common)$/;
const BANNED_NAMES = /^(data|info|ttl)$/;

/** Why a name says nothing, or `undefined` when it may be used. */
export function emptyName(name: string, path: string): string | undefined {
  const words = name.split(/(?=[A-Z])|[_\-.$\d]+/).map((word) => word.toLowerCase());
  const word = words.find((one) => BANNED_WORDS.test(one));
  if (word !== undefined) return `'${word}' says nothing about what it is`;
  if (BANNED_NAMES.test(name)) return `'${name}' alone says nothing about which`;
  if (/^do[A-Z]/.test(name)) return 'do… says nothing that the verb after it does not';
  const mayHandle = path.startsWith('src/protocols/');
  return /^handle[A-Z]/.test(name) && !mayHandle ? 'handle… hides what happens' : undefined;
}

function exportedNames(node: ts.Statement): ts.Node[] {
  const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined;
  if (!modifiers?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(node)) return node.declarationList.declarations.map((d) => d.name);
  const named = node as ts.Statement & { readonly name?: ts.Node | undefined };
  return named.name === undefined ? [] : [named.name];
}

/** Exported things and files are named in the field's own words (STYLE §1.3). */
export const names: Rule = (file) => {
  if (!CODE.test(file.path)) return [];
  const cure = 'name what it is or what it yields, with the words of STYLE §1.3';
  const base = file.path.slice(file.path.lastIndexOf('/') + 1).replace(/\..*$/, '');
  const found: { name: string; line: number }[] = [{ name: base, line: 1 }];
  for (const statement of file.tree.statements) {
    for (const node of exportedNames(statement)) {
      if (ts.isIdentifier(node)) found.push({ name: node.text, line: lineOf(file, node) });
    }
  }
  return found.flatMap(({ name, line }): Finding[] => {
    const why = emptyName(name, file.path);
    if (why === undefined) return [];
    return [{ file: file.path, line, rule: 'names', message: `${name}: ${why}`, cure }];
  });
};
