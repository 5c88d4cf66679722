/**
 * YAML → nodes with places, with `${env.NAME}` and `${file:path}` filled in. The only importer of
 * `yaml`.
 *
 * Bounded: a file has at most 1 MiB and 100 aliases (a few lines of aliases can stand for
 * gigabytes), keys are strings, and duplicate keys are an error.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { SourcePlace } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';
import { plainOf, type Scalar, type SettingEntry, type SettingNode } from './setting-node.ts';
import { type Substitutes, substitute } from './substitute.ts';

const FILE_CHARS_MAX = 1024 * 1024;
const ALIASES_MAX = 100;
const DEPTH_MAX = 32;

/**
 * Reads `text`; `undefined` when it is no YAML (reported) or when it is empty. `file` is the name
 * by which problems speak of it.
 */
export function readYaml(
  text: string,
  file: string,
  substitutes: Substitutes,
  problems: ProblemList,
): SettingNode | undefined {
  const top = { file, line: 1, column: 1 };
  if (text.length > FILE_CHARS_MAX) {
    problems.add(top, `the file has more than ${FILE_CHARS_MAX} characters`);
    return undefined;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // Reported below, by name.
    version: '1.2',
  });
  const placeAt = (offset: number | undefined): SourcePlace => {
    const at = lines.linePos(offset ?? 0);
    return { file, line: Math.max(1, at.line), column: Math.max(1, at.col) };
  };
  for (const error of document.errors) {
    problems.add(placeAt(error.pos[0]), `not YAML: ${error.message.split('\n')[0]}`);
  }
  if (document.errors.length > 0 || document.contents === null) return undefined;
  let aliases = 0;
  const resolve = (node: Node): Node | undefined => {
    aliases += 1;
    if (aliases > ALIASES_MAX || !isAlias(node)) return undefined;
    return node.resolve(document);
  };
  return convert(document.contents, { placeAt, resolve, substitutes, problems }, 0);
}

/** The same as plain data, with what looks like variables left as it is. */
export function plainYaml(text: string, file: string, problems: ProblemList): unknown {
  const substitutes: Substitutes = { env: {}, readFile: () => undefined, keep: () => true };
  const node = readYaml(text, file, substitutes, problems);
  // Through text: the maps of nodes have no prototype, which records are expected to have.
  return node === undefined ? undefined : JSON.parse(JSON.stringify(plainOf(node)));
}

interface Conversion {
  readonly placeAt: (offset: number | undefined) => SourcePlace;
  readonly resolve: (node: Node) => Node | undefined;
  readonly substitutes: Substitutes;
  readonly problems: ProblemList;
}

function convert(node: unknown, context: Conversion, depth: number): SettingNode {
  const place = context.placeAt((node as Node | null)?.range?.[0]);
  const nothing: SettingNode = { kind: 'scalar', value: null, place };
  if (depth > DEPTH_MAX) {
    context.problems.add(place, `nested deeper than ${DEPTH_MAX} levels`);
    return nothing;
  }
  if (isAlias(node)) {
    const target = context.resolve(node);
    if (target !== undefined) return convert(target, context, depth + 1);
    context.problems.add(place, `alias *${node.source} leads nowhere, or there are too many`);
    return nothing;
  }
  if (isMap(node)) return { kind: 'map', entries: convertEntries(node, context, depth), place };
  if (isSeq(node)) {
    return {
      kind: 'list',
      items: node.items.map((item) => convert(item, context, depth + 1)),
      place,
    };
  }
  if (!isScalar(node)) return nothing;
  const { source } = node;
  return { kind: 'scalar', value: scalarValue(node.value, place, context), source, place };
}

function convertEntries(
  map: { readonly items: readonly { readonly key: unknown; readonly value: unknown }[] },
  context: Conversion,
  depth: number,
): ReadonlyMap<string, SettingEntry> {
  const entries = new Map<string, SettingEntry>();
  for (const { key, value } of map.items) {
    const place = context.placeAt((key as Node | null)?.range?.[0]);
    if (!isScalar(key)) {
      context.problems.add(place, 'a key must be a name');
      continue;
    }
    const name = String(key.value);
    if (name === '__proto__') context.problems.add(place, 'a key cannot be __proto__');
    else if (entries.has(name)) context.problems.add(place, `key ${name} is repeated`);
    else {
      const node = value ?? { range: (key as Node).range };
      entries.set(name, { key: place, value: convert(node, context, depth + 1) });
    }
  }
  return entries;
}

function scalarValue(value: unknown, place: SourcePlace, context: Conversion): Scalar {
  if (typeof value === 'string') {
    return substitute(value, context.substitutes, place, context.problems);
  }
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return null;
}
