/** Applications and small phrases which several scenarios share. */
import { expect } from 'vitest';
import { type NodeOptions, type NodeProcess, startNode } from './node-process.ts';

/** Every scenario that the HTTP engine could change runs on both. */
export const ENGINES = ['uws', 'node'] as const;
export type EngineName = (typeof ENGINES)[number];

export const JSON_BODY = { 'content-type': 'application/json' } as const;

const OPEN = '@export(public: [read, insert, update, delete, subscribe])';

/** Tables that anybody may read and write. */
export const ITEMS_SCHEMA = `
type Item @table ${OPEN} {
  id: ID @primaryKey
  tag: String @indexed
  price: Float @indexed
  open: Boolean @indexed
  at: Date @indexed
  tags: [String] @indexed
  n: Int
  note: String
}
type Number @table ${OPEN} { id: Int @primaryKey, name: String, tag: String @indexed }
type Sealed @table @sealed ${OPEN} { id: ID @primaryKey, name: String!, count: Int }
`;

/** A node over the open tables on one engine. */
export function startItems(
  engine: EngineName,
  more: Partial<NodeOptions> & { readonly yaml?: string } = {},
): Promise<NodeProcess> {
  const { yaml = '', ...options } = more;
  return startNode({
    ...options,
    files: { 'schema.graphql': ITEMS_SCHEMA, 'millrace.yaml': yaml, ...options.files },
    env: { MILLRACE_HTTP_ENGINE: engine, ...options.env },
  });
}

/** Expects a refusal as a problem document with this status and code. [RFC9457 §3] */
export async function expectProblem(
  response: Response,
  status: number,
  code: string,
): Promise<Record<string, unknown>> {
  const text = await response.text();
  expect([response.status, text]).toEqual([status, expect.stringContaining(`"${code}"`)]);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = JSON.parse(text) as Record<string, unknown>;
  expect(problem).toMatchObject({
    status,
    code,
    type: expect.any(String),
    title: expect.any(String),
  });
  return problem;
}

export const json = async (response: Response): Promise<unknown> => {
  expect(response.status).toBe(200);
  return response.json();
};
