/** The guide to formats prints what a node really answers: each of its commands is run. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const guide = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8');

/** The contents of the fenced blocks of one kind. */
const blocks = (kind: string): string[] =>
  [...guide.matchAll(new RegExp(`^\`\`\`${kind}\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, text]) => text ?? '',
  );

/** Each command with what it is said to print. */
const commands = blocks('console')
  .flatMap((block) => block.split(/^\$ /m).slice(1))
  .map((text) => {
    const [command = '', ...printed] = text.split('\n');
    return [command, printed.join('\n')] as const;
  });

describe('the guide to formats', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': blocks('graphql').join('\n') } });
  });
  afterAll(() => node.dispose());

  it.each(commands)('prints what really comes of: %s', async (command, printed) => {
    const real = command.replaceAll('http://localhost:9926', node.http);
    const { stdout } = await promisify(execFile)('sh', ['-c', real]);
    expect(stdout.trimEnd()).toBe(printed.trimEnd());
  });
});
