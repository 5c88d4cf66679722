/**
 * `schema.graphql` (or several files) → `Schema`, or everything that is wrong with it. The only
 * importer of `graphql`, and only of its parser: the document is never executed, so the rest of the
 * library (50 ms of start-up) is not loaded.
 *
 * Pure: text in, data out. The result is deeply read-only and refers to no document node.
 */
import type { DefinitionNode, DocumentNode, GraphQLError } from 'graphql';
import { parse } from 'graphql/language/parser.js';
import { checkDuplicates, checkTypeNames } from './cross-check.ts';
import type { ObjectDefinition, Schema, TableDefinition } from './definition.ts';
import { readDirectives } from './directives.ts';
import { placeOf } from './place.ts';
import { type Problem, ProblemList } from './problem.ts';
import { readAttribute, SCALARS } from './read-attribute.ts';
import { isTable, type ReadType, readTable } from './read-table.ts';

/** Bounds the work that a hostile or generated file can cause; 10,000 attributes need less. */
const TOKENS_MAX = 200_000;

export type ParsedSchema =
  | { readonly schema: Schema; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly schema?: undefined };

/** The schema of an application that declares no tables. */
export const EMPTY_SCHEMA: Schema = Object.freeze({ tables: [], objects: new Map() });

/** A part of a schema; `file` is the name by which problems speak of it. */
export interface SchemaSource {
  readonly text: string;
  readonly file: string;
}

/** Parses one file; see `parseSchemas`. */
export const parseSchema = (text: string, file: string): ParsedSchema =>
  parseSchemas([{ text, file }]);

/** Parses files which together are one schema. Never throws for bad input. */
export function parseSchemas(sources: readonly SchemaSource[]): ParsedSchema {
  const problems = new ProblemList();
  const types = new Map<string, ReadType>();
  for (const { text, file } of sources) {
    if (!/[^\s,\ufeff]/.test(text.replace(/#.*/g, ''))) continue;
    const document = parseDocument(text, file, problems);
    if (document !== undefined) readTypes(document, file, types, problems);
  }
  if (types.size === 0) {
    return problems.isEmpty ? { schema: EMPTY_SCHEMA } : { problems: problems.sorted() };
  }
  const tableTypes = [...types.values()].filter((type) => isTable(type, problems));
  const tables = tableTypes.map((type) => readTable(type, problems));
  checkTypeNames(types, tables, problems);
  checkDuplicates(tables, problems);
  if (!problems.isEmpty) return { problems: problems.sorted() };
  return { schema: { tables, objects: readObjects(types, tables) } };
}

function parseDocument(
  text: string,
  file: string,
  problems: ProblemList,
): DocumentNode | undefined {
  try {
    return parse(text, { maxTokens: TOKENS_MAX });
  } catch (error) {
    const syntax = error as Partial<GraphQLError>;
    const { line, column } = syntax.locations?.[0] ?? { line: 1, column: 1 };
    const message = String(syntax.message ?? error).replace(/^Syntax Error: /, '');
    const isEmptyType = /Expected Name, found "?}"?/.test(message);
    problems.add({ file, line, column }, `not GraphQL: ${message}`, {
      cure: isEmptyType ? 'a type without attributes is written without braces' : undefined,
    });
    return undefined;
  }
}

function readTypes(
  document: DocumentNode,
  file: string,
  types: Map<string, ReadType>,
  problems: ProblemList,
): void {
  for (const node of document.definitions) {
    const type = readType(node, file, problems);
    if (type === undefined) continue;
    const name = type.node.name.value;
    const first = types.get(name);
    if (first === undefined) types.set(name, type);
    else {
      problems.add(type.place, `type ${name} is declared twice`, {
        cause: `the first is at ${first.place.file}:${first.place.line}`,
      });
    }
  }
}

/** `undefined` for a definition that declares nothing here, reported or not. */
function readType(node: DefinitionNode, file: string, problems: ProblemList): ReadType | undefined {
  if (node.kind !== 'ObjectTypeDefinition') {
    reportOther(node, file, problems);
    return undefined;
  }
  const place = placeOf(node.name, file);
  const name = node.name.value;
  if (SCALARS.has(name) || name.startsWith('__')) {
    problems.add(place, `a type cannot be called ${name}`, { cause: 'the name is taken' });
  }
  const parent = node.interfaces?.[0];
  if (parent !== undefined) {
    problems.add(placeOf(parent, file), 'types do not inherit', { cure: 'repeat the attributes' });
  }
  const attributes = (node.fields ?? []).map((field) => readAttribute(field, file, problems));
  const seen = new Set<string>();
  for (const attribute of attributes) {
    if (seen.has(attribute.name)) {
      problems.add(attribute.place, `attribute ${attribute.name} is declared twice`);
    }
    seen.add(attribute.name);
  }
  const directives = readDirectives(node, 'type', file, problems);
  return { node, attributes, directives, place };
}

/** Declarations that editors want (`scalar Date`, `directive @table …`) are let through. */
function reportOther(node: DefinitionNode, file: string, problems: ProblemList): void {
  if (node.kind === 'DirectiveDefinition' || node.kind === 'SchemaDefinition') return;
  if (node.kind === 'ScalarTypeDefinition' && SCALARS.has(node.name.value)) return;
  const word = node.kind.replace(/(Type)?(Definition|Extension)$/, '').toLowerCase();
  problems.add(placeOf(node, file), `${word} is not supported here`, {
    cause: 'a schema declares types with attributes, nothing else',
    cure: word === 'enum' ? 'use String for the attribute' : undefined,
  });
}

function readObjects(
  types: ReadonlyMap<string, ReadType>,
  tables: readonly TableDefinition[],
): ReadonlyMap<string, ObjectDefinition> {
  const tableTypes = new Set(tables.map((table) => table.typeName));
  const nested = new Set<string>();
  for (const type of types.values()) {
    for (const { type: target, relationship } of type.attributes) {
      if (typeof target === 'object' && relationship === undefined) nested.add(target.object);
    }
  }
  const objects = new Map<string, ObjectDefinition>();
  for (const [typeName, type] of types) {
    if (tableTypes.has(typeName) && !nested.has(typeName)) continue;
    const sealed = type.directives.has('sealed');
    objects.set(typeName, { typeName, attributes: type.attributes, sealed });
  }
  return objects;
}
