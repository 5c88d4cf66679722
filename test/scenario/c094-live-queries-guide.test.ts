/** The guide to live queries: each path can be followed, each wish is granted. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const GUIDE = readFileSync(new URL('../../docs/live-queries.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...GUIDE.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  );
const lines = (language: string): string[] =>
  blocks(language).flatMap((text) => text.split('\n').filter((line) => line !== ''));

describe('the guide to live queries', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': blocks('graphql')[0] ?? '' } });
    await node.put('/Team/t1', { league: '39', points: 3, name: 'First' });
  });
  afterAll(() => node.dispose());

  it.each(lines('text'))('%s can be followed', async (path) => {
    const leave = new AbortController();
    const { signal } = leave;
    const headers = { accept: 'text/event-stream' };
    const response = await node.fetch(path, { headers, signal });
    expect(response.status).toBe(200);
    leave.abort();
    const socket = new SocketClient(`${node.ws}${path}`, {});
    const [first] = await socket.count(1);
    expect(['snapshot', 'put']).toContain(first?.type);
    socket.terminate();
  });

  it.each(lines('json'))('%s is granted', async (line) => {
    const socket = await new SocketClient(`${node.ws}/live`, {}).opened();
    socket.say(line);
    const [first] = await socket.count(1);
    expect(first).toMatchObject({ sub: JSON.parse(line).as });
    expect(first?.type).not.toBe('error');
    socket.terminate();
  });
});
