/**
 * The guide to rendering servers, executed: its renderer runs as it is printed, each command prints
 * what the guide says, and the files for Next.js are in order and are those of the example.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const GUIDE = readFileSync(path.join(REPOSITORY, 'docs/ssr.md'), 'utf8');

const blocks = [...GUIDE.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, text = '']) => ({
  language,
  text,
}));
/** `[name, text]` of the blocks that begin with the name of a file. */
const files = new Map(
  blocks.flatMap(({ text }) => {
    const name = /^(?:#|\/\/) (\S+\.\w+)\n/.exec(text)?.[1];
    return name === undefined ? [] : [[name, text] as const];
  }),
);
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.split(/^(?=curl )/m))
  .map((text) => {
    const [line = '', ...rest] = text.trim().split('\n');
    return { line, prints: rest.map((one) => one.replace(/^# /, '')) };
  });

/** `…` stands for anything. */
const matches = (printed: string, line: string): boolean =>
  new RegExp(`^${printed.split('…').map(escaped).join('.*')}$`).test(line);
const escaped = (text: string): string => text.replace(/[^\w ]/g, '\\$&');

describe('the guide to rendering servers', () => {
  let node: NodeProcess;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'millrace-ssr-'));
    // What `npm install millrace` would leave there.
    mkdirSync(path.join(folder, 'node_modules'));
    symlinkSync(REPOSITORY, path.join(folder, 'node_modules/millrace'), 'dir');
    const app = Object.fromEntries(files);
    const schema = `${app['schema.graphql']}\n${app['next.graphql']}`;
    node = await startNode({ files: { ...app, 'schema.graphql': schema }, folder });
  });
  afterAll(async () => {
    await node.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  async function printed(line: string): Promise<string[]> {
    const target = /http:\/\/localhost:9926([^\s']*)/.exec(line)?.[1] ?? '';
    const body = /-d '([^']*)'/.exec(line)?.[1] ?? null;
    const headers = [...line.matchAll(/-H '([^:]+): ([^']*)'/g)].map(
      ([, name = '', value = '']) => [name, value] as [string, string],
    );
    const method = /-X (\w+)/.exec(line)?.[1] ?? 'GET';
    const response = await node.fetch(target, { method, headers, body });
    const code = line.includes('%{http_code}') ? [String(response.status)] : [];
    if (code.length === 0) expect(response.status).toBeLessThan(300);
    const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    return [...code, ...fields, (await response.text()).trim()];
  }

  it('has commands to run', () => {
    expect(commands.filter(({ prints }) => prints.length > 0).length).toBeGreaterThan(4);
  });

  it.each(commands)('prints what it says: $line', async ({ line, prints }) => {
    // A page can be read from the store a moment after its answer; what is written, once.
    const once = line.includes('-X ') || prints.some((one) => one.includes('fwd='));
    const lines = await printed(line);
    if (once) return expect(missing(prints, lines)).toEqual([]);
    await vi.waitFor(async () => expect(missing(prints, await printed(line))).toEqual([]), {
      timeout: 20_000,
      interval: 50,
    });
  });

  const missing = (prints: readonly string[], lines: readonly string[]): string[] =>
    prints.filter((one) => !lines.some((line) => matches(one, line)));

  it('has code that can be read, and imports what there is', () => {
    const scripts = [...files].filter(([name]) => name.endsWith('.mjs'));
    expect(scripts.length).toBeGreaterThan(5);
    const loaded = scripts
      .filter(([name]) => !['renderer.mjs', 'live.mjs'].includes(name))
      .map(([name]) => `await import('./${name}');`);
    writeFileSync(path.join(folder, 'all.mjs'), loaded.join('\n'));
    execFileSync(process.execPath, ['all.mjs'], { cwd: folder });
    execFileSync(process.execPath, ['--check', 'live.mjs'], { cwd: folder });
  });

  it('says the same of Next.js as the example does', () => {
    const shop = (name: string) =>
      readFileSync(path.join(REPOSITORY, 'examples/ssr-shop', name), 'utf8').replace(/\s+/g, ' ');
    expect(shop('cache-handler.mjs')).toContain('export default createCacheHandler();');
    for (const name of files.get('cache-policies/next.yaml')?.match(/next-[\w-]+|rsc/g) ?? []) {
      expect(shop('cache-policies/shop.yaml')).toContain(`- ${name}`);
    }
  });
});
