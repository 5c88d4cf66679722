/** The guides to queries do what they say: each of their examples on a real node. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

interface Block {
  readonly language: string;
  /** The table of the records, where there are several. */
  readonly table: string;
  readonly text: string;
}

function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```(\w+)(?: (\w+))?\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', table = 'Book', block = '']) => ({ language, table, text: block }),
  );
}

/** Each request with the answer that stands under it. */
const examplesOf = (blocks: readonly Block[]) =>
  blocks.flatMap((block, at) => {
    const answer = blocks[at + 1];
    if (block.language !== 'http') return [];
    return [[block.text.trim(), answer?.language === 'json' ? answer.text : ''] as const];
  });

describe.each([
  ['querying.md', 18],
  ['relationships.md', 9],
])('the guide %s', (page, least) => {
  const blocks = blocksOf(page);
  const examples = examplesOf(blocks);
  let node: NodeProcess;
  beforeAll(async () => {
    const schema = blocks.find(({ language }) => language === 'graphql')?.text ?? '';
    node = await startNode({ files: { 'schema.graphql': schema } });
    for (const { table, text } of blocks.filter(({ language }) => language === 'ndjson')) {
      for (const line of text.trim().split('\n')) {
        const record = JSON.parse(line) as { readonly id: string };
        expect((await node.put(`/${table}/${record.id}`, record)).status).toBe(201);
      }
    }
  });
  afterAll(() => node.dispose());

  it('has an example for everything', () => expect(examples.length).toBeGreaterThan(least));

  it.each(examples)('%s', async (request, expected) => {
    const [method = '', target = ''] = request.split(' ');
    const response = await node.fetch(target, { method });
    const text = await response.text();
    expect([response.status, text]).toEqual([200, expect.any(String)]);
    expect(JSON.parse(text)).toEqual(JSON.parse(expected));
  });
});
