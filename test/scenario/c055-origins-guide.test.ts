/**
 * The guide to origins, executed: its shop runs as it is printed, a node runs on its files over
 * that shop, each command prints what the guide says, and the files of the others are in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';

const GUIDE = readFileSync(new URL('../../docs/origins.md', import.meta.url), 'utf8');
/** Origins on machines that are none: their files are checked, and nobody connects to them. */
const ELSEWHERE = ['board', 'orders', 'sensors', 'upper'];

function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms');
  return [...GUIDE.matchAll(fence)].map(([, text = '']) => text);
}

/** The printed files by the name in their first line. */
const PRINTED = ['js', 'ts', 'yaml'].flatMap(blocks).map((text) => {
  const name = /^(?:\/\/|#) (\S+)/.exec(text)?.[1];
  if (name === undefined) throw new Error(`no name of a file above:\n${text}`);
  return [name, text] as const;
});

function application(without: readonly string[]): AppFiles {
  const files = PRINTED.filter(([name]) => !without.includes(path.parse(name).name));
  const tables = blocks('graphql').filter(
    (text) => !without.some((name) => text.includes(`origin: "${name}"`)),
  );
  return { ...Object.fromEntries(files), 'schema.graphql': tables.join('\n') };
}

interface Command {
  readonly line: string;
  /** A status line, fields, and a body: `…` stands for anything. */
  readonly prints: readonly string[];
}

const commands: Command[] = blocks('sh').flatMap((text) =>
  [...text.matchAll(/^curl .*\n((?:# .*\n)*)/gm)].map(([whole, prints = '']) => ({
    line: whole.split('\n', 1)[0] ?? '',
    prints: prints.split('\n').flatMap((line) => (line === '' ? [] : [line.slice(2)])),
  })),
);

/** Fields such as `ttl` go on after what is printed, where that ends in `…`. */
const pattern = (printed: string): RegExp => {
  const parts = printed.split('…').map((part) => part.replace(/[^\w ]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
};

/** Throws at the first printed line that is not so. */
function compare(printed: readonly string[], response: Response, text: string): void {
  for (const line of printed) {
    const field = /^([a-z-]+): (.*)$/.exec(line);
    if (line.startsWith('HTTP/1.1 ')) expect(`HTTP/1.1 ${response.status}`).toBe(line);
    else if (field) expect(response.headers.get(field[1] ?? '')).toMatch(pattern(field[2] ?? ''));
    else if (line.includes('…')) expect(text).toMatch(pattern(line));
    else expect(JSON.parse(text)).toEqual(JSON.parse(line));
  }
}

async function openShop(folder: string): Promise<{ process: ChildProcess; place: string }> {
  const shop = spawn(process.execPath, [path.join(folder, 'shop.mjs')], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(shop.stdout, 'data')) as [Buffer];
  return { process: shop, place: `127.0.0.1:${/\d+/.exec(said.toString())?.[0]}` };
}

describe('the guide to origins', () => {
  let folder: string;
  let shop: Awaited<ReturnType<typeof openShop>>;
  let node: NodeProcess;
  beforeAll(async () => {
    folder = writeApp(application([]));
    shop = await openShop(folder);
    const files = Object.entries(application(ELSEWHERE)).map(([name, text]) => [
      name,
      name.endsWith('.yaml') ? text.replaceAll('127.0.0.1:4000', shop.place) : text,
    ]);
    node = await startNode({ files: Object.fromEntries(files) });
  });
  afterAll(async () => {
    await node?.dispose();
    shop?.process.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  it('prints an application that is in order, origins elsewhere included', async () => {
    const checked = await runCommand(['check', folder]);
    expect(checked.stderr + checked.stdout).not.toMatch(/error|unknown/i);
    expect([checked.code, checked.stderr]).toEqual([0, '']);
  });

  it.each(ELSEWHERE)('would be told of a key of %s that does not exist', async (name) => {
    const files = application([]);
    const file = `origins/${name}.yaml`;
    const wrong = writeApp({ ...files, [file]: `${files[file]}tabel: x\n` });
    const checked = await runCommand(['check', wrong]);
    rmSync(wrong, { recursive: true, force: true });
    expect(checked.code).toBe(2);
    expect(checked.stderr + checked.stdout).toContain('tabel');
  });

  it('has commands to run', () => {
    expect(commands.filter(({ prints }) => prints.length > 0).length).toBeGreaterThan(15);
  });

  const run = async (line: string) => {
    const [, host = '', target = ''] = /http:\/\/localhost:(\d+)([^\s']*)/.exec(line) ?? [];
    const base = host === '4000' ? `http://${shop.place}` : node.http;
    const fields = [...line.matchAll(/-H '([^:]+): ([^']*)'/g)];
    const body = /-d '([^']*)'/.exec(line)?.[1];
    const response = await fetch(`${base}${target}`, {
      method: /-X (\w+)/.exec(line)?.[1] ?? 'GET',
      headers: Object.fromEntries(fields.map(([, name = '', value = '']) => [name, value])),
      ...(body === undefined ? {} : { body }),
    });
    return { response, text: await response.text() };
  };

  /** Reads are repeated until it is so: lifetimes pass, feeds arrive, breakers open and close. */
  it.each(commands)('prints what it says: $line', async ({ line, prints }) => {
    const once = async () => {
      const { response, text } = await run(line);
      compare(prints, response, text);
      return response;
    };
    if (line.includes(' -X ')) expect((await once()).ok).toBe(true);
    else await vi.waitFor(once, { timeout: 20_000, interval: 10 });
  });
});
