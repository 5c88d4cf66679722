/**
 * The tables of a schema as TypeScript, for the editor of whoever writes resources: a record type
 * for each table, and `tables.X` as the class of that table.
 */
import type {
  AttributeDefinition,
  ObjectDefinition,
  ScalarType,
  Schema,
} from '../schema/definition.ts';

const HEADER = `/**
 * The tables of schema.graphql. Written by \`millrace check --types\`: changes here are lost.
 */
import type { ApplicationTable } from 'millrace';
`;

/** The text of `millrace-env.d.ts`. */
export function tableTypes(schema: Schema): string {
  const names = new Set(schema.tables.map((table) => table.typeName));
  const nested = [...schema.objects.values()].filter((type) => !names.has(type.typeName));
  const types = [...schema.tables, ...nested];
  const known = new Set(types.map((type) => type.typeName));
  const tables = schema.tables.map(
    ({ typeName }) => `    readonly ${propertyName(typeName)}: ApplicationTable<${typeName}>;`,
  );
  const rows = schema.tables.flatMap(({ typeName, export: exported }) =>
    exported === undefined ? [] : [`  ${propertyName(exported.name)}: ${typeName};`],
  );
  return [
    HEADER,
    ...types.map((type) => recordType(type, known)),
    '/** Rows by the name in their paths: `connect<ExportedTables>()` of `millrace/client`. */',
    'export interface ExportedTables {',
    ...rows,
    '}',
    '',
    "declare module 'millrace' {",
    '  interface Tables {',
    ...tables,
    '  }',
    '}',
    '',
  ].join('\n');
}

type Described = ObjectDefinition & { readonly description?: string | undefined };

function recordType(type: Described, known: ReadonlySet<string>): string {
  const lines = type.attributes.map((attribute) => {
    const isGiven = attribute.required || attribute.primaryKey;
    const name = propertyName(attribute.name);
    const property = `  ${name}${isGiven ? '' : '?'}: ${typeOf(attribute, known)}`;
    return `${comment(attribute.description, '  ')}${property}${isGiven ? '' : ' | null'};`;
  });
  if (!type.sealed) lines.push('  [undeclared: string]: unknown;');
  const body = lines.join('\n');
  return `${comment(type.description, '')}export interface ${type.typeName} {\n${body}\n}\n`;
}

const comment = (text: string | undefined, indent: string): string =>
  text === undefined ? '' : `${indent}/** ${text.replaceAll('*/', '*\\/').trim()} */\n`;

const SCALARS: Readonly<Record<ScalarType, string>> = {
  ID: 'string',
  String: 'string',
  Int: 'number',
  Long: 'number',
  Float: 'number',
  BigInt: 'number | string',
  Boolean: 'boolean',
  Date: 'number | string',
  Bytes: 'string',
  Blob: 'string | { contentType: string; size: number; etag: string; href: string }',
  Any: 'unknown',
};

function typeOf({ type, list }: AttributeDefinition, known: ReadonlySet<string>): string {
  const name =
    typeof type === 'string' ? SCALARS[type] : known.has(type.object) ? type.object : 'unknown';
  if (!list) return name;
  return name.includes(' ') ? `(${name})[]` : `${name}[]`;
}

const propertyName = (name: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
