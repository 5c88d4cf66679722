/** `/openapi` of a real node: sound by the rules of its own format, and cut to its reader. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';

const APP = fileURLToPath(new URL('../fixtures/resource-app/', import.meta.url));
const read = (file: string) => [file, readFileSync(APP + file, 'utf8')] as const;
const FILES = ['schema.graphql', 'resources/main.ts', 'resources/lib/greet.ts'].map(read);
const MORE = `
"""A place where people land."""
type Airport @table @export(public: [read]) {
  "The three letters of IATA."
  code: ID @primaryKey
  name: String!
  runways: [Runway]
  changed: Date @updatedTime
  secretNote: String @hidden
}
type Runway { heading: Int, length: Float }
`;
const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};

type Json = Record<string, unknown>;
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Json & { parameters?: { name: string; in: string }[] }>;
  readonly components: Record<string, Record<string, Json>>;
}

/** Every `$ref` below `value`. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    key === '$ref' ? [String(each)] : references(each),
  );
}

const METHODS = new Set(['get', 'put', 'post', 'patch', 'delete']);

/** The operations of a document, each with its path and the parameters of both. */
function operations({ paths }: Document) {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.has(method))
      .map(([method, operation]) => ({ path, method, operation: operation as Json, item })),
  );
}

describe('the description of a node', () => {
  let node: NodeProcess;
  const described = async (headers: Record<string, string> = {}): Promise<Document> => {
    const response = await node.fetch('/openapi', { headers });
    expect(response.status).toBe(200);
    return (await response.json()) as Document;
  };
  beforeAll(async () => {
    const files = Object.fromEntries(FILES);
    const schema = files['schema.graphql'] + MORE;
    node = await startNode({ files: { ...files, 'schema.graphql': schema } });
  });
  afterAll(() => node.dispose());

  it.each([
    ['anonymous', {}],
    ['the administrator', AS_ADMIN],
  ])('is sound for %s: references lead somewhere, ids are unique [OAS3.1 §4.8]', async (_, as) => {
    const document = await described(as);
    expect(document.openapi).toBe('3.1.0');
    for (const reference of references(document)) {
      const [, section = '', kind = '', name = ''] = reference.split('/');
      expect([reference, section]).toEqual([reference, 'components']);
      expect(document.components[kind], reference).toHaveProperty([name]);
    }
    const ids = operations(document).map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(5);
    for (const { path, operation, item } of operations(document)) {
      expect(operation.responses, path).toHaveProperty('default');
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = (item.parameters ?? []).filter((one) => one.in === 'path');
      expect(declared.map((one) => one.name)).toEqual(named);
    }
  });

  it('says what the schema says: docstrings, types, what is required, nested types', async () => {
    const { components } = await described();
    expect(components.schemas?.Airport).toEqual({
      type: 'object',
      description: 'A place where people land.',
      properties: {
        code: { type: 'string', description: 'The three letters of IATA.' },
        name: { type: 'string' },
        runways: { type: 'array', items: { $ref: '#/components/schemas/Runway' } },
        changed: { type: ['number', 'string'], description: expect.any(String), readOnly: true },
      },
      required: ['name'],
    });
    expect(components.schemas?.Runway).toMatchObject({
      properties: { heading: { type: 'integer', format: 'int32' } },
    });
  });

  it('shows a reader only what they may use', async () => {
    const anonymous = await described();
    const all = await described(AS_ADMIN);
    const verbs = (document: Document, path: string) =>
      operations(document).flatMap((one) => (one.path === path ? [one.method] : []));
    expect(verbs(anonymous, '/Airport/{id}')).toEqual(['get']);
    expect(verbs(all, '/Airport/{id}')).toEqual(['get', 'put', 'patch', 'delete']);
    expect(verbs(anonymous, '/Secret/{id}')).toEqual([]);
    expect(verbs(all, '/Secret/{id}')).toContain('get');
    expect(verbs(anonymous, '/Closed')).toEqual([]);
    expect(verbs(all, '/Closed')).toEqual(['get']);
    expect(verbs(anonymous, '/Hello')).toEqual(['get', 'post']);
    expect(verbs(anonymous, '/shop/{shop}/widgets/{id}')).toEqual(['get']);
    expect(JSON.stringify(anonymous)).not.toContain('secretNote');
  });
});
