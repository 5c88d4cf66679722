/**
 * Rules about who imports whom (STYLE §1.2): layers, libraries, the public surface, cycles. They
 * read import and export declarations, dynamic `import()` with a literal and `import('…')` types.
 */
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import ts from '@typescript/typescript6';
import { type Finding, lineOf, type ParsedFile, type Rule, walk } from './finding.ts';
import { COMPOSITION, LAYERS, type Layer, LIBRARIES, SHARED_CONSTANTS } from './layers.ts';

interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly typeOnly: boolean;
}

/** Whether an import clause brings in types only, by keyword on the whole or on every name. */
function bringsTypesOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  if (clause.name !== undefined || bindings === undefined) return false;
  return ts.isNamedImports(bindings) && bindings.elements.every((element) => element.isTypeOnly);
}

function importOf(file: ParsedFile, node: ts.Node): Import | undefined {
  const literal = (specifier: ts.Node | undefined, typeOnly: boolean): Import | undefined =>
    specifier !== undefined && ts.isStringLiteralLike(specifier)
      ? { specifier: specifier.text, line: lineOf(file, node), typeOnly }
      : undefined;
  if (ts.isImportDeclaration(node)) {
    return literal(node.moduleSpecifier, bringsTypesOnly(node.importClause));
  }
  if (ts.isExportDeclaration(node)) return literal(node.moduleSpecifier, node.isTypeOnly);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return literal(node.argument.literal, true);
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return literal(node.arguments[0], false);
  }
  return undefined;
}

/** Every import of a file whose specifier is written out. */
export function importsOf(file: ParsedFile): Import[] {
  const found: Import[] = [];
  walk(file.tree, (node) => {
    const one = importOf(file, node);
    if (one !== undefined) found.push(one);
  });
  return found;
}

const inSrc = (path: string): string | undefined =>
  path.startsWith('src/') ? path.slice('src/'.length) : undefined;

/** The layer of a path below `src/`; the longest folder wins. */
function layerOf(path: string): Layer | undefined {
  return LAYERS.filter((layer) => path.startsWith(`${layer.folder}/`)).toSorted(
    (a, b) => b.folder.length - a.folder.length,
  )[0];
}

function target(file: ParsedFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(file.path), specifier));
}

/** Why `from` may not import `to`, or `undefined` when it may. */
function refusal(from: Layer, to: string, typeOnly: boolean): string | undefined {
  if (COMPOSITION.test(to)) return 'the composition root is imported by nobody';
  const layer = layerOf(to);
  if (layer === undefined) return `src/${to} lies in no folder of the layer table`;
  if (layer.folder === from.folder) return undefined;
  if (to === SHARED_CONSTANTS && from.layer >= 2) return undefined;
  if (from.values.includes(layer.folder)) return undefined;
  if (typeOnly && from.types.includes(layer.folder)) return undefined;
  if (from.ports?.includes(to)) return undefined;
  const kind = from.types.includes(layer.folder) ? 'only types of ' : '';
  return kind === ''
    ? `src/${from.folder} may not import src/${layer.folder}`
    : `src/${from.folder} may import ${kind}src/${layer.folder}`;
}

/** Layers: imports point down, by the table in `layers.ts`. */
export const layerDirection: Rule = (file) => {
  const path = inSrc(file.path);
  if (path === undefined || COMPOSITION.test(path)) return [];
  const from = layerOf(path);
  if (from === undefined) {
    const message = `${file.path} lies in no folder of the layer table`;
    const cure = 'move it to the folder of its layer, or argue a new layer in layers.ts';
    return [{ file: file.path, line: 1, rule: 'layers', message, cure }];
  }
  return importsOf(file).flatMap((one): Finding[] => {
    const to = inSrc(target(file, one.specifier) ?? '');
    const message = to === undefined ? undefined : refusal(from, to, one.typeOnly);
    if (message === undefined) return [];
    const cure = 'declare a port where it is used and hand the adapter over in node.ts';
    return [{ file: file.path, line: one.line, rule: 'layers', message, cure }];
  });
};

const isBuiltin = (specifier: string) =>
  specifier.startsWith('node:') || builtinModules.includes(specifier);

const packageOf = (specifier: string) =>
  specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');

/** Libraries: each third-party package is imported below one folder. */
export const libraryFolder: Rule = (file) => {
  if (!file.path.startsWith('src/')) return [];
  return importsOf(file).flatMap((one): Finding[] => {
    if (one.specifier.startsWith('.') || isBuiltin(one.specifier)) return [];
    const name = packageOf(one.specifier);
    const homes = [LIBRARIES[name] ?? []].flat();
    if (homes.some((home) => file.path.startsWith(home))) return [];
    const home = homes.length === 0 ? undefined : homes.join(' and ');
    const message =
      home === undefined ? `'${name}' has no home folder` : `'${name}' is imported only in ${home}`;
    const cure = home === undefined ? 'name its folder in layers.ts' : `call what ${home} exports`;
    return [{ file: file.path, line: one.line, rule: 'libraries', message, cure }];
  });
};

/**
 * Origins and policies are written like an application's: against `millrace`, Node, the libraries
 * whose home is with them, and the files beside them.
 */
export const publicSurfaceOnly: Rule = (file) => {
  if (!/^(origins|cache-policies)\//.test(file.path)) return [];
  return importsOf(file)
    .filter((one) => !isPublic(one.specifier, file.path))
    .map((one) => ({
      file: file.path,
      line: one.line,
      rule: 'public-surface',
      message: `imports '${one.specifier}'`,
      cure: "import from 'millrace' or a node: builtin; export in src/index.ts what is missing",
    }));
};

function isPublic(specifier: string, path: string): boolean {
  if (specifier === 'millrace' || specifier.startsWith('node:')) return true;
  if (/^\.\/[a-z0-9-]+\.ts$/.test(specifier)) return true;
  return [LIBRARIES[packageOf(specifier)] ?? []].flat().some((home) => path.startsWith(home));
}

/** Cycles of value imports, each reported once, at the import that closes it. */
export function importCycles(files: readonly ParsedFile[]): Finding[] {
  const edges = new Map(files.map((file) => [file.path, valueImports(file)] as const));
  const finished = new Set<string>();
  const findings: Finding[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    for (const edge of edges.get(path) ?? []) {
      const start = [...trail, path].indexOf(edge.to);
      if (start >= 0) {
        const message = `cycle ${[...trail, path, edge.to].slice(start).join(' → ')}`;
        const cure = 'move what both need into a third file, or import the type only';
        findings.push({ file: path, line: edge.line, rule: 'cycles', message, cure });
      } else if (!finished.has(edge.to) && edges.has(edge.to)) {
        visit(edge.to, [...trail, path]);
      }
    }
    finished.add(path);
  };
  for (const path of edges.keys()) if (!finished.has(path)) visit(path, []);
  return findings;
}

function valueImports(file: ParsedFile): { to: string; line: number }[] {
  return importsOf(file).flatMap((one) => {
    const to = one.typeOnly ? undefined : target(file, one.specifier);
    return to === undefined ? [] : [{ to, line: one.line }];
  });
}
