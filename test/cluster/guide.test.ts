/** The guide to replication does what it says: its schema, its two nodes, its requests. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { runCommand, until } from '../support/node-process.ts';

const GUIDE = readFileSync(new URL('../../docs/replication.md', import.meta.url), 'utf8');
const blocks = [...GUIDE.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text: text.trim() }),
);
const of = (language: string): string[] =>
  blocks.filter((block) => block.language === language).map(({ text }) => text);
const lines = of('sh').flatMap((text) => text.split('\n'));

/** The `-X`, `-H` and `-d` of a curl command of the guide, as `fetch` takes them. */
function requested(line: string): { readonly path: string; readonly init: RequestInit } {
  const headers = [...line.matchAll(/-H '([^:]+): ([^']+)'/g)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const [, path = ''] = /http:\/\/127\.0\.0\.1:\d+(\/\S*)/.exec(line) ?? [];
  const method = /-X (\w+)/.exec(line)?.[1] ?? 'GET';
  const body = /-d '([^']+)'/.exec(line)?.[1];
  return { path, init: { method, headers: Object.fromEntries(headers), ...(body && { body }) } };
}

describe('the guide to replication', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const files = { 'schema.graphql': of('graphql')[0] ?? '' };
    cluster = await Cluster.start({ files, names: ['n1', 'n2'] });
    await until('the connection', async () => {
      const { connections } = await cluster.node('n1').operate({ operation: 'cluster_status' });
      return (connections as { state: string }[]).some(({ state }) => state === 'live');
    });
  });
  afterAll(() => cluster.dispose());

  it('starts its nodes with flags that there are', async () => {
    const { stdout } = await runCommand(['start', '--help']);
    const flags = lines.flatMap((line) => line.match(/--[a-z-]+/g) ?? []);
    const started = flags.filter((flag) => !['--with', '--cluster'].includes(flag));
    expect(started.filter((flag) => !stdout.includes(flag))).toEqual([]);
  });

  it('has at the second node what was written at the first', async () => {
    const [put = '', get = ''] = lines.filter((line) => line.startsWith('curl'));
    const write = requested(put);
    expect((await cluster.node('n1').fetch(write.path, write.init)).ok).toBe(true);
    const { path } = requested(get);
    const found = await until('the row', async () => {
      const response = await cluster.node('n2').fetch(path);
      return response.ok && response.json();
    });
    expect(found).toEqual(JSON.parse(of('json')[0] ?? '{}'));
  });

  it('answers a write when another node holds it', async () => {
    const waiting = requested(lines.find((line) => line.includes('x-replicate-to')) ?? '');
    expect((await cluster.node('n1').fetch(waiting.path, waiting.init)).status).toBe(201);
    expect((await cluster.node('n2').fetch(waiting.path)).ok).toBe(true);
  });

  it('keeps on its node what is written for it alone', async () => {
    const alone = requested(lines.find((line) => line.includes('x-replicate-to: none')) ?? '');
    expect((await cluster.node('n1').fetch(alone.path, alone.init)).status).toBe(201);
    const last = requested(lines.find((line) => line.includes('confirm=1')) ?? '');
    expect((await cluster.node('n1').fetch(last.path, last.init)).ok).toBe(true);
    expect((await cluster.node('n1').fetch(alone.path)).ok).toBe(true);
    expect((await cluster.node('n2').fetch(alone.path)).status).toBe(404);
  });
});
