/**
 * The OpenAPI 3.1 description of what one reader may use: paths and schemas from the tables and
 * resources that are handed in. Pure: who may what has been decided by the caller.
 */
import type {
  AttributeDefinition,
  ObjectDefinition,
  ScalarType,
  TableDefinition,
  Verb,
} from '../../schema/definition.ts';

export interface DescribedTable {
  /** Path segments without the leading slash. */
  readonly name: string;
  readonly definition: TableDefinition;
  /** What the reader may do. */
  readonly verbs: ReadonlySet<Verb>;
}

export interface DescribedResource {
  /** Without the leading slash; parameters as `:name` and `*rest`. */
  readonly path: string;
  readonly name: string;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly description?: string | undefined;
}

export interface OpenApiParts {
  readonly title: string;
  readonly version: string;
  readonly tables: readonly DescribedTable[];
  readonly resources: readonly DescribedResource[];
  /** Types that attributes may have besides scalars. */
  readonly objects: ReadonlyMap<string, ObjectDefinition>;
}

/** A part of the document, as JSON. */
export type Json = { readonly [key: string]: unknown };

const PROBLEM = { $ref: '#/components/responses/Problem' };

export function openApiDocument(parts: OpenApiParts): Json {
  const paths: Record<string, Json> = {};
  for (const table of parts.tables) Object.assign(paths, tablePaths(table));
  for (const resource of parts.resources) {
    const path = templateOf(resource.path);
    paths[path] = { ...paths[path], ...resourcePath(resource) };
  }
  return {
    openapi: '3.1.0',
    info: { title: parts.title, version: parts.version },
    paths,
    components: {
      schemas: schemasOf(parts),
      responses: { Problem: problemResponse() },
      securitySchemes: { basic: { type: 'http', scheme: 'basic' } },
    },
    security: [{}, { basic: [] }],
    tags: [
      ...parts.tables.map(({ name, definition }) => tag(name, definition.description)),
      ...parts.resources.map(({ name, description }) => tag(name, description)),
    ].filter((one, index, all) => all.findIndex((other) => other.name === one.name) === index),
  };
}

const tag = (name: string, description: string | undefined) => ({
  name,
  ...(description === undefined ? {} : { description }),
});

function tablePaths(table: DescribedTable): Record<string, Json> {
  const { name, verbs, definition } = table;
  const isWritable = verbs.has('insert') || verbs.has('update');
  const collection = {
    ...(verbs.has('read') ? { get: readCollection(table) } : {}),
    ...(verbs.has('insert') ? { post: createRecord(table) } : {}),
  };
  const record = {
    ...(verbs.has('read') ? { get: readRecord(table) } : {}),
    ...(isWritable ? { put: writeRecord(table, 'put') } : {}),
    ...(isWritable ? { patch: writeRecord(table, 'patch') } : {}),
    ...(verbs.has('delete') ? { delete: deleteRecord(table) } : {}),
  };
  const key = definition.primaryKeyType === 'number' ? { type: 'integer' } : { type: 'string' };
  const id = { name: 'id', in: 'path', required: true, schema: key };
  return {
    ...(isEmpty(collection) ? {} : { [`/${name}/`]: collection }),
    ...(isEmpty(record) ? {} : { [`/${name}/{id}`]: { parameters: [id], ...record } }),
  };
}

const isEmpty = (value: object): boolean => Object.keys(value).length === 0;

const refTo = ({ definition }: DescribedTable): Json => ({
  $ref: `#/components/schemas/${componentName(definition.typeName)}`,
});

const operation = (table: DescribedTable, verb: string, rest: Json): Json => ({
  tags: [table.name],
  operationId: `${verb}${componentName(table.name)}`,
  ...rest,
});

const jsonContent = (schema: Json): Json => ({ 'application/json': { schema } });

function readCollection(table: DescribedTable): Json {
  const parameters = table.definition.attributes
    .filter((one) => !one.hidden && one.relationship === undefined && !isObject(one))
    .map((one) => ({
      name: one.name,
      in: 'query',
      description: one.indexed ? 'answered by an index' : 'answered by looking at each record',
      schema: scalarSchema(one.type as ScalarType),
    }));
  const schema = { type: 'array', items: refTo(table) };
  return operation(table, 'list', {
    summary: `Records of ${table.name} that match`,
    parameters,
    responses: {
      200: { description: 'the records', content: jsonContent(schema) },
      default: PROBLEM,
    },
  });
}

function readRecord(table: DescribedTable): Json {
  return operation(table, 'get', {
    summary: `A record of ${table.name}`,
    responses: {
      200: {
        description: 'the record',
        headers: {
          ETag: { schema: { type: 'string' } },
          'Cache-Status': { schema: { type: 'string' }, description: 'RFC 9211' },
        },
        content: jsonContent(refTo(table)),
      },
      304: { description: 'the client holds it already' },
      default: PROBLEM,
    },
  });
}

const body = (table: DescribedTable): Json => ({
  required: true,
  content: jsonContent(refTo(table)),
});

const POSITION: Json = {
  'Millrace-Position': {
    schema: { type: 'string' },
    description: 'at which subscribers have been told of the write',
  },
};
const WRITTEN: Json = { ETag: { schema: { type: 'string' } }, ...POSITION };

const createRecord = (table: DescribedTable): Json =>
  operation(table, 'create', {
    summary: `Stores a new record of ${table.name} under a new key`,
    requestBody: body(table),
    responses: {
      201: {
        description: 'stored',
        headers: { Location: { schema: { type: 'string' } }, ...WRITTEN },
      },
      default: PROBLEM,
    },
  });

function writeRecord(table: DescribedTable, verb: 'put' | 'patch'): Json {
  const partial = { required: true, content: jsonContent({ type: 'object' }) };
  return operation(table, verb, {
    summary:
      verb === 'put' ? `Stores a record of ${table.name}` : `Merges into a record of ${table.name}`,
    requestBody: verb === 'put' ? body(table) : partial,
    responses: {
      201: { description: 'there was none before', headers: WRITTEN },
      204: { description: 'stored', headers: WRITTEN },
      412: PROBLEM,
      default: PROBLEM,
    },
  });
}

const deleteRecord = (table: DescribedTable): Json =>
  operation(table, 'delete', {
    summary: `Deletes a record of ${table.name}`,
    responses: { 204: { description: 'deleted', headers: POSITION }, default: PROBLEM },
  });

/** `a/:id/*rest` → `/a/{id}/{rest}`. */
function templateOf(path: string): string {
  const segments = path.split('/').map((segment) => {
    const name = parameterOf(segment);
    return name === undefined ? segment : `{${name}}`;
  });
  return `/${segments.join('/')}`;
}

function parameterOf(segment: string): string | undefined {
  if (segment.startsWith('*')) return segment.slice(1) || 'rest';
  return segment.startsWith(':') ? segment.slice(1) : undefined;
}

function resourcePath(resource: DescribedResource): Json {
  const names = resource.path.split('/').flatMap((segment) => parameterOf(segment) ?? []);
  const parameters = names.map((name) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }));
  const described = resource.methods.filter((method) => method !== 'OPTIONS' && method !== 'HEAD');
  const operations = described.map((method) => {
    const verb = method.toLowerCase();
    const takesBody = ['put', 'patch', 'post'].includes(verb);
    return [
      verb,
      {
        tags: [resource.name],
        operationId: `${verb}${componentName(resource.path)}`,
        ...(resource.description === undefined ? {} : { description: resource.description }),
        ...(takesBody ? { requestBody: { content: jsonContent({}) } } : {}),
        responses: { '2XX': { description: 'what the resource answers' }, default: PROBLEM },
      },
    ];
  });
  return { ...(parameters.length === 0 ? {} : { parameters }), ...Object.fromEntries(operations) };
}

/** Schemas of the tables, and of every type that their attributes lead to. */
function schemasOf({ tables, objects }: OpenApiParts): Json {
  const schemas: Record<string, Json> = { ProblemDocument: problemSchema() };
  const open: ObjectDefinition[] = tables.map(({ definition }) => definition);
  for (let type = open.pop(); type !== undefined; type = open.pop()) {
    const name = componentName(type.typeName);
    if (schemas[name] !== undefined) continue;
    schemas[name] = objectSchema(type, objects);
    for (const attribute of shown(type)) {
      const nested = isObject(attribute) ? objects.get(attribute.type.object) : undefined;
      if (nested !== undefined) open.push(nested);
    }
  }
  return schemas;
}

type Nested = AttributeDefinition & { readonly type: { readonly object: string } };
const isObject = (attribute: AttributeDefinition): attribute is Nested =>
  typeof attribute.type !== 'string';

/** What a plain read answers with: neither hidden attributes nor joined records. */
const shown = (type: ObjectDefinition): readonly AttributeDefinition[] =>
  type.attributes.filter((one) => !one.hidden && one.relationship === undefined);

function objectSchema(
  type: ObjectDefinition & { readonly description?: string | undefined },
  objects: ReadonlyMap<string, ObjectDefinition>,
): Json {
  const attributes = shown(type);
  const required = attributes.filter((one) => one.required).map((one) => one.name);
  const properties = attributes.map((one) => [one.name, attributeSchema(one, objects)]);
  return {
    type: 'object',
    ...(type.description === undefined ? {} : { description: type.description }),
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
    ...(type.sealed ? { additionalProperties: false } : {}),
  };
}

function attributeSchema(
  attribute: AttributeDefinition,
  objects: ReadonlyMap<string, ObjectDefinition>,
): Json {
  const one = isObject(attribute)
    ? objectReference(attribute, objects)
    : scalarSchema(attribute.type as ScalarType);
  const schema = attribute.list ? { type: 'array', items: one } : one;
  const { description, role, computed } = attribute;
  const isOurs = role === 'createdTime' || role === 'updatedTime' || computed !== undefined;
  return {
    ...schema,
    ...(description === undefined ? {} : { description }),
    ...(isOurs ? { readOnly: true } : {}),
  };
}

const objectReference = ({ type }: Nested, objects: ReadonlyMap<string, ObjectDefinition>): Json =>
  objects.has(type.object)
    ? { $ref: `#/components/schemas/${componentName(type.object)}` }
    : { type: 'object' };

const SCALARS: Readonly<Record<ScalarType, Json>> = {
  ID: { type: 'string' },
  String: { type: 'string' },
  Int: { type: 'integer', format: 'int32' },
  Long: { type: 'integer', format: 'int64' },
  Float: { type: 'number', format: 'double' },
  BigInt: { type: 'integer' },
  Boolean: { type: 'boolean' },
  Date: { type: ['number', 'string'], description: 'milliseconds since 1970, or a date as text' },
  Bytes: { type: 'string', contentEncoding: 'base64' },
  Blob: { type: ['object', 'string'] },
  Any: {},
};

const scalarSchema = (type: ScalarType): Json => SCALARS[type] ?? {};

/** The characters that a component or an operation may be named with. */
const componentName = (name: string): string => name.replace(/[^\w.-]/g, '_');

function problemSchema(): Json {
  const text = { type: 'string' };
  return {
    type: 'object',
    description: 'What went wrong [RFC 9457]; `code` is stable for ever.',
    properties: { type: text, title: text, status: { type: 'integer' }, code: text, detail: text },
    required: ['type', 'title', 'status', 'code'],
  };
}

const problemResponse = (): Json => ({
  description: 'what went wrong',
  content: {
    'application/problem+json': { schema: { $ref: '#/components/schemas/ProblemDocument' } },
  },
});
