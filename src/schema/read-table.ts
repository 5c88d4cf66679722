/**
 * One type of `schema.graphql` that is a table → its definition. What can be judged from the type
 * alone is judged here; names of other types and duplicates are judged by `cross-check.ts`.
 */
import type { ObjectTypeDefinitionNode } from 'graphql';
import { type DeltaSeconds, deltaSeconds, type TableName, tableName } from '../base/brands.ts';
import type { AttributeDefinition, SourcePlace, TableDefinition } from './definition.ts';
import type { ReadDirective, ReadDirectives } from './directives.ts';
import { nearest } from './nearest.ts';
import { pageAttributes } from './page-attributes.ts';
import type { ProblemList } from './problem.ts';
import { readExport } from './read-export.ts';

export const DEFAULT_DATABASE = 'data';
/** Directives which mean nothing on a type that is not a table. */
const TABLE_DIRECTIVES = ['export', 'sourcedFrom', 'cache'] as const;
const REPLICATE_MODES = ['entries', 'invalidations', 'none'] as const;
const NAME_CHARS_MAX = 250;

export interface ReadType {
  readonly node: ObjectTypeDefinitionNode;
  readonly attributes: readonly AttributeDefinition[];
  readonly directives: ReadDirectives;
  readonly place: SourcePlace;
}

/** Whether a type is a table; reports table directives on one that is not. */
export function isTable(type: ReadType, problems: ProblemList): boolean {
  if (type.directives.has('table') || type.directives.has('pages')) return true;
  for (const name of TABLE_DIRECTIVES) {
    const directive = type.directives.get(name);
    if (directive === undefined) continue;
    problems.add(directive.place, `@${name} on ${type.node.name.value}, which is no table`, {
      cure: `add @table before @${name}`,
    });
    return false;
  }
  return false;
}

export function readTable(type: ReadType, problems: ProblemList): TableDefinition {
  const { directives, node, place } = type;
  const table = directives.get('table');
  const typeName = node.name.value;
  const database = readName(table, 'database', problems) ?? readName(table, 'schema', problems);
  const name = readName(table, 'table', problems) ?? typeName;
  const isBarePages = directives.has('pages') && type.attributes.length === 0;
  const known = isBarePages ? { ...type, attributes: pageAttributes(place) } : type;
  const key = readPrimaryKey(known, problems);
  checkRoles(key.attributes, problems);
  return {
    name: qualifiedName(database ?? DEFAULT_DATABASE, name),
    typeName,
    database: database ?? DEFAULT_DATABASE,
    attributes: key.attributes,
    primaryKey: key.name,
    primaryKeyType: key.type,
    sealed: directives.has('sealed'),
    hidden: directives.has('hidden'),
    expiration: seconds(table, 'expiration'),
    eviction: seconds(table, 'eviction'),
    scanInterval: seconds(table, 'scanInterval'),
    replicate: readReplicate(directives, problems),
    history: table?.values.history === true || table?.values.audit === true,
    export: readExport(directives.get('export'), typeName, key.attributes.length === 0, problems),
    sourcedFrom: readSource(directives, key.attributes, key.name, problems),
    cache: readCache(directives.get('cache')),
    pages: readPages(directives, problems),
    description: node.description?.value,
    place,
  };
}

/** `table` in the default database, otherwise `database.table`. */
export function qualifiedName(database: string, table: string): TableName {
  return tableName(database === DEFAULT_DATABASE ? table : `${database}.${table}`);
}

/** [SCH-19] Printable ASCII without slash and backtick; spaces are allowed. */
function readName(
  directive: ReadDirective | undefined,
  argument: 'database' | 'schema' | 'table',
  problems: ProblemList,
): string | undefined {
  const name = directive?.values[argument];
  if (directive === undefined || typeof name !== 'string') return undefined;
  const place = directive.placeOf(argument);
  if (!/^[\x20-\x7e]+$/.test(name) || /[/`]/.test(name) || name.trim() !== name) {
    problems.add(place, `${argument} name ${JSON.stringify(name)} is not allowed`, {
      cure: 'use letters, digits, spaces, - and _; no slash, no backtick, no accents',
    });
  } else if (name.length > NAME_CHARS_MAX || name === '__proto__') {
    problems.add(place, `${argument} name ${JSON.stringify(name.slice(0, 40))} is not allowed`, {
      cause: `names have at most ${NAME_CHARS_MAX} characters`,
    });
  } else if (argument !== 'table' && name === 'system') {
    problems.add(place, 'the database system belongs to the node', { cure: 'use another name' });
  }
  return name;
}

interface PrimaryKey {
  readonly name: string;
  readonly type: 'string' | 'number';
  readonly attributes: readonly AttributeDefinition[];
}

/**
 * The declared key, else an attribute called `id`, else an `id` that is added; a type without any
 * attribute stays without, and its records may be anything.
 */
function readPrimaryKey(type: ReadType, problems: ProblemList): PrimaryKey {
  const { attributes } = type;
  const declared = attributes.filter((attribute) => attribute.primaryKey);
  const second = declared[1];
  if (second !== undefined) {
    problems.add(second.place, `${type.node.name.value} has two primary keys`, {
      cause: `${declared[0]?.name} is one already`,
    });
  }
  const key = declared[0] ?? attributes.find((attribute) => attribute.name === 'id');
  if (key === undefined) {
    const all = attributes.length === 0 ? attributes : [implicitKey(type.place), ...attributes];
    return { name: 'id', type: 'string', attributes: all };
  }
  const isNumber = key.type === 'Int' || key.type === 'Long';
  const all = attributes.map((each) => (each === key ? { ...each, primaryKey: true } : each));
  return { name: key.name, type: isNumber ? 'number' : 'string', attributes: all };
}

function implicitKey(place: SourcePlace): AttributeDefinition {
  return {
    name: 'id',
    type: 'ID',
    list: false,
    required: false,
    elementRequired: false,
    primaryKey: true,
    indexed: false,
    hidden: false,
    place,
  };
}

function checkRoles(attributes: readonly AttributeDefinition[], problems: ProblemList): void {
  const seen = new Map<string, string>();
  for (const { role, name, place } of attributes) {
    if (role === undefined) continue;
    const first = seen.get(role);
    if (first === undefined) seen.set(role, name);
    else problems.add(place, `@${role} is on two attributes`, { cause: `${first} has it already` });
  }
}

function seconds(table: ReadDirective | undefined, argument: string): DeltaSeconds | undefined {
  const value = table?.values[argument];
  return typeof value === 'number' ? deltaSeconds(value) : undefined;
}

function readReplicate(
  directives: ReadDirectives,
  problems: ProblemList,
): TableDefinition['replicate'] {
  const table = directives.get('table');
  const value = table?.values.replicate;
  if (typeof value === 'boolean') return value;
  const mode = REPLICATE_MODES.find((each) => each === value);
  if (table !== undefined && mode === 'entries' && directives.has('pages')) {
    problems.add(table.placeOf('replicate'), 'replicate: entries is for records, not for pages', {
      cause: 'a page depends on more than its key: on request fields, and on records that it shows',
      cure: 'leave it out; with cluster.shield: true nodes ask each other for pages',
    });
  }
  if (mode !== undefined) return mode;
  if (table !== undefined && value !== undefined) {
    problems.add(table.placeOf('replicate'), `replicate cannot be ${String(value)}`, {
      cure: `write true, false, ${REPLICATE_MODES.join(', ')}`,
    });
  }
  // Copies of somebody else's data are cheaper to fetch again than to send.
  return directives.has('sourcedFrom') || directives.has('pages') ? 'invalidations' : true;
}

function readSource(
  directives: ReadDirectives,
  attributes: readonly AttributeDefinition[],
  primaryKey: string,
  problems: ProblemList,
): TableDefinition['sourcedFrom'] {
  const directive = directives.get('sourcedFrom');
  if (directive === undefined) return undefined;
  const { origin, path, write } = directive.values;
  if (write !== undefined && write !== 'through' && write !== 'none') {
    problems.add(directive.placeOf('write'), `write cannot be ${String(write)}`, {
      cure: 'write through or none',
    });
  }
  if (typeof path === 'string') {
    const names = [primaryKey, 'id', ...attributes.map((attribute) => attribute.name)];
    checkPlaceholders(path, names, directive.placeOf('path'), problems);
  }
  if (directives.has('pages')) {
    problems.add(directive.place, 'a page table has its origin in @pages', {
      cure: 'leave out @sourcedFrom',
    });
  }
  return {
    origin: typeof origin === 'string' ? origin : '',
    path: typeof path === 'string' ? path : undefined,
    write: write === 'through' ? 'through' : 'none',
    place: directive.place,
  };
}

function checkPlaceholders(
  path: string,
  names: readonly string[],
  place: SourcePlace,
  problems: ProblemList,
): void {
  if (path === '' || /[\s\x00-\x1f]/.test(path)) {
    problems.add(place, 'path is empty or contains white space');
  }
  for (const [, name] of path.matchAll(/\{([^{}]*)\}/g)) {
    if (name === undefined || names.includes(name)) continue;
    const near = nearest(name, names);
    problems.add(place, `path names {${name}}, which is no attribute`, {
      cure: near === undefined ? `write {${names[0]}}` : `did you mean {${near}}?`,
    });
  }
  if (/[{}]/.test(path.replace(/\{[^{}]*\}/g, ''))) {
    problems.add(place, 'path has a brace without its partner', { cure: 'write {name}' });
  }
}

function readCache(directive: ReadDirective | undefined): TableDefinition['cache'] {
  if (directive === undefined) return undefined;
  const { policy, ...overrides } = directive.values;
  return {
    policy: typeof policy === 'string' ? policy : undefined,
    overrides,
    place: directive.place,
    places: Object.fromEntries(
      Object.keys(overrides).map((name) => [name, directive.placeOf(name)]),
    ),
  };
}

function readPages(directives: ReadDirectives, problems: ProblemList): TableDefinition['pages'] {
  const directive = directives.get('pages');
  if (directive === undefined) return undefined;
  const { origin, policy, path, host } = directive.values;
  const pattern = typeof path === 'string' ? path : '/*';
  if (!/^\/[^\s?#*]*\*?$/.test(pattern)) {
    problems.add(directive.placeOf('path'), `path ${JSON.stringify(pattern)} is not a pattern`, {
      cure: 'begin with / and end with /* to take everything below',
    });
  }
  if (typeof host === 'string' && !/^(\*\.)?(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?$/i.test(host)) {
    problems.add(directive.placeOf('host'), `host ${JSON.stringify(host)} is no host`, {
      cause: 'it is compared with the Host field of requests',
      cure: 'write a name such as www.example.com, or *.example.com for all below it',
    });
  }
  if (typeof policy === 'string' && directives.get('cache')?.values.policy !== undefined) {
    problems.add(directive.placeOf('policy'), 'the policy is named twice', {
      cure: 'name it in @pages or in @cache, not in both',
    });
  }
  return {
    origin: typeof origin === 'string' ? origin : '',
    policy: typeof policy === 'string' ? policy : undefined,
    path: pattern,
    host: typeof host === 'string' ? host.toLowerCase() : undefined,
    place: directive.place,
  };
}
