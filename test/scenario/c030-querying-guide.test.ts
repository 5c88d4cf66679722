/** `docs/querying.md` does what it says: each of its examples on a real node. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const guide = readFileSync(new URL('../../docs/querying.md', import.meta.url), 'utf8');

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...guide.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text }),
);

const blockOf = (language: string): string =>
  blocks.find((block) => block.language === language)?.text ?? '';

/** Each request with the answer that stands under it. */
const examples = blocks.flatMap((block, at) => {
  const answer = blocks[at + 1];
  if (block.language !== 'http') return [];
  return [[block.text.trim(), answer?.language === 'json' ? answer.text : ''] as const];
});

describe('the guide to querying', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': blockOf('graphql') } });
    for (const line of blockOf('ndjson').trim().split('\n')) {
      const record = JSON.parse(line) as { readonly id: string };
      expect((await node.put(`/Book/${record.id}`, record)).status).toBe(201);
    }
  });
  afterAll(() => node.dispose());

  it('has an example for everything', () => expect(examples.length).toBeGreaterThan(18));

  it.each(examples)('%s', async (request, expected) => {
    const [method = '', target = ''] = request.split(' ');
    const response = await node.fetch(target, { method });
    const text = await response.text();
    expect([response.status, text]).toEqual([200, expect.any(String)]);
    expect(JSON.parse(text)).toEqual(JSON.parse(expected));
  });
});
