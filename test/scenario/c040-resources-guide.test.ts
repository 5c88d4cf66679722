/**
 * The guide to resources, executed: its code is that of the example, every command in it is run
 * against a node on the example, and prints what the guide says.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const file = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const EXAMPLE = file('examples/hello-resources');
const GUIDE = readFileSync(file('docs/resources.md'), 'utf8');

function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms');
  return [...GUIDE.matchAll(fence)].map(([, text = '']) => text);
}

/** Comments and blank lines are for readers of the files. */
const essence = (code: string): string =>
  code
    .replace(/\/\*\*.*?\*\/\s*/gs, '')
    .replace(/^\s*static description.*\n/m, '')
    .replace(/^\/\/.*\n|\n\s*(?=\n)/gm, '');

interface Command {
  readonly line: string;
  readonly prints: string | undefined;
}

const commands: Command[] = blocks('sh').flatMap((text) => {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const next = lines[index + 1];
    if (!line.startsWith('curl ')) return [];
    return [{ line, prints: next?.startsWith('# ') === true ? next.slice(2) : undefined }];
  });
});

describe('the guide to resources', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    const names = ['schema.graphql', ...readdirSync(path.join(EXAMPLE, 'resources'))];
    const files = names.map((name) => {
      const inside = name.endsWith('.ts') ? `resources/${name}` : name;
      return [inside, readFileSync(path.join(EXAMPLE, inside), 'utf8')] as const;
    });
    node = await startNode({ files: Object.fromEntries(files) });
  });
  afterAll(() => node.dispose());

  it.each(blocks('ts').map((code) => [/^\/\/ (\S+)/.exec(code)?.[1] ?? '', code]))(
    'shows %s as it is',
    (name, code) => {
      const written = readFileSync(path.join(EXAMPLE, name), 'utf8');
      expect(essence(code).trim()).toBe(essence(written).trim());
    },
  );

  it('has commands to run', () => {
    expect(commands.filter((one) => one.prints !== undefined).length).toBeGreaterThan(4);
  });

  it.each(commands)('prints what it says: $line', async ({ line, prints }) => {
    const method = /-X (\w+)/.exec(line)?.[1] ?? 'GET';
    const body = /-d '([^']*)'/.exec(line)?.[1];
    const target = /http:\/\/localhost:9926(\S+)/.exec(line)?.[1] ?? '';
    const response = await node.fetch(target, {
      method,
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (prints !== undefined) expect(JSON.parse(text)).toEqual(JSON.parse(prints));
    expect(response.status).not.toBe(500);
  });

  it('counts visits, one a call', async () => {
    await Promise.all(
      Array.from({ length: 5 }, () => node.fetch('/guests/ada/visit', { method: 'POST' })),
    );
    const guest = (await (await node.fetch('/Guest/ada')).json()) as Record<string, unknown>;
    expect(guest).toMatchObject({ visits: 6, shortName: 'Ada' });
  });
});
