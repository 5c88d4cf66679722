/**
 * The directives of `schema.graphql` as a table of data, and the one function that reads them from
 * the document: it checks where a directive stands, the names of its arguments and the kinds of
 * their values, and reports what is wrong with the nearest known name. What a directive *means* is
 * decided in `read-table.ts` and `read-attribute.ts`.
 */
import type { ConstDirectiveNode, ConstValueNode } from 'graphql';
import { unreachable } from '../base/assert.ts';
import type { SourcePlace } from './definition.ts';
import { nearest, suggest } from './nearest.ts';
import { type DocumentNode, placeOf } from './place.ts';
import type { ProblemList } from './problem.ts';

/**
 * `word`: a string or a bare name, as GraphQL writes enum values. `mode`: true, false or a word.
 * `any`: kept as written.
 */
export type ArgumentKind = 'word' | 'words' | 'string' | 'number' | 'switch' | 'mode' | 'any';

export interface DirectiveShape {
  readonly on: readonly ('type' | 'field')[];
  readonly arguments: Readonly<Record<string, ArgumentKind>>;
  readonly required?: readonly string[] | undefined;
}

/** The sections of a cache policy that `@cache` may override, and the two short forms. */
export const CACHE_OVERRIDES: readonly string[] = [
  'freshness',
  'stale',
  'staleWhileRevalidate',
  'staleIfError',
  'negative',
  'key',
  'vary',
  'groups',
  'store',
  'collapse',
  'retention',
  'client',
];

const anyOf = (names: readonly string[]): Record<string, ArgumentKind> =>
  Object.fromEntries(names.map((name) => [name, 'any' as const]));

const HNSW =
  'distance efConstruction M optimizeRouting mL efConstructionSearch quantization filterExpansion';

export const DIRECTIVES: Readonly<Record<string, DirectiveShape>> = {
  table: {
    on: ['type'],
    arguments: {
      database: 'string',
      schema: 'string', // The older name of `database`, which Harper 4 still takes.
      table: 'string',
      expiration: 'number',
      eviction: 'number',
      scanInterval: 'number',
      replicate: 'mode',
      audit: 'switch',
      history: 'switch',
    },
  },
  export: {
    on: ['type'],
    arguments: {
      name: 'string',
      public: 'words',
      protocols: 'words',
      rest: 'switch', // Harper 4 switches single protocols; so may we.
      websocket: 'switch',
      ws: 'switch',
      sse: 'switch',
      mqtt: 'switch',
    },
  },
  sourcedFrom: {
    on: ['type'],
    arguments: { origin: 'string', path: 'string', write: 'word' },
    required: ['origin'],
  },
  cache: { on: ['type'], arguments: { policy: 'string', ...anyOf(CACHE_OVERRIDES) } },
  pages: {
    on: ['type'],
    arguments: { origin: 'string', policy: 'string', path: 'string', host: 'string' },
    required: ['origin'],
  },
  sealed: { on: ['type'], arguments: {} },
  hidden: { on: ['type', 'field'], arguments: {} },
  primaryKey: { on: ['field'], arguments: {} },
  indexed: { on: ['field'], arguments: { type: 'word', ...anyOf(HNSW.split(' ')) } },
  relationship: { on: ['field'], arguments: { from: 'word', to: 'word' } },
  createdTime: { on: ['field'], arguments: {} },
  updatedTime: { on: ['field'], arguments: {} },
  expiresAt: { on: ['field'], arguments: {} },
  computed: { on: ['field'], arguments: { from: 'string', version: 'number' } },
  enumerable: { on: ['field'], arguments: {} }, // Harper's; selects what we already select.
  deprecated: { on: ['field'], arguments: { reason: 'string' } }, // GraphQL's own.
};

/** Directives of other systems which would promise something that does not happen here. */
const REFUSED: Readonly<Record<string, string>> = {
  allow: 'say who may do what in roles.yaml, or with @export(public: […])',
  embed: 'compute the vector where the record is made, and store it as [Float]',
  fullText: 'index the words as a list attribute: words: [String] @indexed',
};

export interface ReadDirective {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly place: SourcePlace;
  /** The place of one argument, or of the directive when it has no such argument. */
  placeOf(argument: string): SourcePlace;
}

export type ReadDirectives = ReadonlyMap<string, ReadDirective>;

/** Reads the directives of one type or field; what is wrong goes to `problems` and is left out. */
export function readDirectives(
  node: DocumentNode & { readonly directives?: readonly ConstDirectiveNode[] | undefined },
  on: 'type' | 'field',
  file: string,
  problems: ProblemList,
): ReadDirectives {
  const found = new Map<string, ReadDirective>();
  for (const directive of node.directives ?? []) {
    const name = directive.name.value;
    const place = placeOf(directive, file);
    const shape = shapeOf(name, on, place, problems);
    if (shape === undefined) continue;
    if (found.has(name)) {
      problems.add(place, `@${name} is repeated`, { cure: 'write it once, with all arguments' });
      continue;
    }
    found.set(name, readDirective(directive, shape, file, problems));
  }
  return found;
}

function shapeOf(
  name: string,
  on: 'type' | 'field',
  place: SourcePlace,
  problems: ProblemList,
): DirectiveShape | undefined {
  const shape = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  if (shape === undefined) {
    problems.add(place, `unknown directive @${name}`, { cure: cureOfUnknown(name, on) });
    return undefined;
  }
  if (shape.on.includes(on)) return shape;
  problems.add(place, `@${name} does not belong on a ${on}`, {
    cure: `put it on a ${shape.on.join(' or a ')}`,
  });
  return undefined;
}

function cureOfUnknown(name: string, on: 'type' | 'field'): string | undefined {
  if (Object.hasOwn(REFUSED, name)) return REFUSED[name];
  const here = Object.keys(DIRECTIVES).filter((each) => DIRECTIVES[each]?.on.includes(on));
  const near = nearest(name, here) ?? nearest(name, Object.keys(DIRECTIVES));
  return near === undefined ? suggest(name, here, '@') : `did you mean @${near}?`;
}

function readDirective(
  directive: ConstDirectiveNode,
  shape: DirectiveShape,
  file: string,
  problems: ProblemList,
): ReadDirective {
  const name = directive.name.value;
  const place = placeOf(directive, file);
  const values: Record<string, unknown> = Object.create(null);
  const places = new Map<string, SourcePlace>();
  for (const argument of directive.arguments ?? []) {
    const key = argument.name.value;
    const at = placeOf(argument, file);
    const kind = Object.hasOwn(shape.arguments, key) ? shape.arguments[key] : undefined;
    if (kind === undefined) {
      const cure = suggest(key, Object.keys(shape.arguments));
      problems.add(at, `unknown argument ${key} of @${name}`, {
        cure: cure ?? `@${name} takes no arguments`,
      });
      continue;
    }
    if (places.has(key)) {
      problems.add(at, `argument ${key} of @${name} is repeated`);
      continue;
    }
    places.set(key, at);
    const value = readArgument(argument.value, kind);
    if (value === undefined) {
      problems.add(at, `argument ${key} of @${name} is not ${WANTED[kind]}`);
    } else values[key] = value;
  }
  for (const key of shape.required ?? []) {
    if (!places.has(key)) problems.add(place, `@${name} needs the argument ${key}`);
  }
  return { name, values, place, placeOf: (argument) => places.get(argument) ?? place };
}

const WANTED: Readonly<Record<ArgumentKind, string>> = {
  word: 'a name or a string',
  words: 'a list of names, such as [read, subscribe]',
  string: 'a string in double quotes',
  number: 'a number',
  switch: 'true or false',
  mode: 'true, false or a name',
  any: 'a value',
};

function readArgument(node: ConstValueNode, kind: ArgumentKind): unknown {
  const value = plainValue(node);
  switch (kind) {
    case 'word':
    case 'string':
      return typeof value === 'string' ? value : undefined;
    case 'words': {
      const list = Array.isArray(value) ? value : [value];
      return list.every((each) => typeof each === 'string') ? list : undefined;
    }
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
    case 'switch':
      return readSwitch(value);
    case 'mode':
      return readSwitch(value) ?? (typeof value === 'string' ? value : undefined);
    case 'any':
      return value === null ? undefined : value;
  }
}

/** Harper 4 schemas also write the strings "true" and "false". */
function readSwitch(value: unknown): boolean | undefined {
  if (value === 'true' || value === 'false') return value === 'true';
  return typeof value === 'boolean' ? value : undefined;
}

const DEPTH_MAX = 32;

/** A GraphQL value as plain data; objects have no prototype. What is nested too deep is null. */
function plainValue(node: ConstValueNode, depth = 0): unknown {
  if (depth > DEPTH_MAX) return null;
  switch (node.kind) {
    case 'IntValue':
    case 'FloatValue':
      return Number(node.value);
    case 'StringValue':
    case 'EnumValue':
    case 'BooleanValue':
      return node.value;
    case 'NullValue':
      return null;
    case 'ListValue':
      return node.values.map((each) => plainValue(each, depth + 1));
    case 'ObjectValue': {
      const object: Record<string, unknown> = Object.create(null);
      for (const field of node.fields)
        object[field.name.value] = plainValue(field.value, depth + 1);
      return object;
    }
    default:
      return unreachable(node);
  }
}
