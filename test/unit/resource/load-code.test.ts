/** Application code as people write it, compiled and imported for real. Needs the built `dist/`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeError } from '../../../src/base/errors.ts';
import { bindTables } from '../../../src/resource/application-scope.ts';
import type { ApplicationTable } from '../../../src/resource/application-table.ts';
import { loadOriginCode, loadPolicyCode } from '../../../src/resource/load-code.ts';
import { failureOf } from '../../support/origins.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'app-'));
});
afterEach(() => {
  bindTables(undefined);
  rmSync(folder, { recursive: true });
});

function write(file: string, text: string): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const problemsOf = (error: NodeError) =>
  (error.details.problems as { file: string; line: number; column: number }[]).map(
    ({ file, line, column }) => `${file}:${line}:${column}`,
  );

const context = {} as never;

describe('application code', () => {
  it('is TypeScript with relative imports, and needs no node_modules for millrace', async () => {
    write('lib/sum.ts', 'export const sum = (a: number, b: number): number => a + b;\n');
    const file = write(
      'origins/scores.ts',
      `import { defineOrigin } from 'millrace';
       import { sum } from '../lib/sum.ts';
       export const scores = defineOrigin({ get: (id) => ({ id, total: sum(1, 2) }) });`,
    );
    const origin = await loadOriginCode(file);
    expect(await origin.get('a', context)).toEqual({ id: 'a', total: 3 });
  });

  it('resolves packages from the file that names them', async () => {
    write('node_modules/greeting/package.json', '{"type":"module","exports":"./main.js"}');
    write('node_modules/greeting/main.js', 'export const hello = "hello";');
    const file = write(
      'origins/a.js',
      `import { defineOrigin } from 'millrace';
       import { hello } from 'greeting';
       export default defineOrigin({ get: () => ({ hello }) });`,
    );
    expect(await (await loadOriginCode(file)).get('a', context)).toEqual({ hello: 'hello' });
  });

  it('follows the paths of a tsconfig into the application', async () => {
    write('tsconfig.json', '{"compilerOptions":{"paths":{"@/*":["./lib/*"]}}}');
    write('lib/word.ts', 'export const word: string = "found";');
    const file = write(
      'origins/a.ts',
      `import { defineOrigin } from 'millrace';
       import { word } from '@/word.ts';
       export const a = defineOrigin({ get: () => ({ word }) });`,
    );
    expect(await (await loadOriginCode(file)).get('a', context)).toEqual({ word: 'found' });
  });

  it('knows its own place through import.meta.url, in bundled files too', async () => {
    write('lib/place.ts', 'export const place = import.meta.url;');
    const file = write(
      'origins/a.ts',
      `import { defineOrigin } from 'millrace';
       import { place } from '../lib/place.ts';
       export const a = defineOrigin({ get: () => ({ place, own: import.meta.url }) });`,
    );
    const record = await (await loadOriginCode(file)).get('a', context);
    expect(record).toEqual({
      place: `file://${folder}/lib/place.ts`,
      own: `file://${folder}/origins/a.ts`,
    });
  });

  it('is read anew after a change', async () => {
    const code = (n: number) =>
      `import { defineOrigin } from 'millrace';
       export const a = defineOrigin({ get: () => ({ n: ${n} }) });`;
    const before = await loadOriginCode(write('origins/a.ts', code(1)));
    const after = await loadOriginCode(write('origins/a.ts', code(2)));
    expect([await before.get('a', context), await after.get('a', context)]).toEqual([
      { n: 1 },
      { n: 2 },
    ]);
  });

  it('reaches the tables once they are bound', async () => {
    const file = write(
      'origins/a.ts',
      `import { defineOrigin, tables } from 'millrace';
       export const a = defineOrigin({ get: async (id) => tables.Flight.get(id) });`,
    );
    const origin = await loadOriginCode(file);
    const get = async () => origin.get('a', context);
    await expect(get()).rejects.toThrow('before the node has opened its tables');
    const flights = { get: async (id: string) => ({ id }) } as unknown as ApplicationTable;
    bindTables((name) => (name === 'Flight' ? flights : undefined));
    expect(await get()).toEqual({ id: 'a' });
  });

  it('makes policies too', async () => {
    const file = write(
      'cache-policies/p.ts',
      `import { definePolicy } from 'millrace';
       export const p = definePolicy({ name: 'p', hooks: { shareable: () => false } });`,
    );
    const policy = await loadPolicyCode(file);
    expect(policy.settings.name).toBe('p');
    expect(policy.hooks.shareable?.({} as never)).toBe(false);
  });

  for (const [title, text, places] of [
    ['a mistake of syntax', 'export const a = ;', ['origins/a.ts:1:18']],
    ['a missing file', "\nimport { x } from './nope.ts';\nx();", ['origins/a.ts:2:19']],
    ['a missing package', "import x from 'no-such';\nx();", ['origins/a.ts:1:15']],
  ] as const) {
    it(`reports ${title} by file, line and column`, async () => {
      const error = await failureOf(loadOriginCode(write('origins/a.ts', text)));
      expect(error.code).toBe('APPLICATION_INVALID');
      expect(problemsOf(error)).toEqual(places);
    });
  }

  it('reports what the code throws while loading where it was written', () => {
    const file = write('origins/a.ts', 'type T = string;\n\nmissing();\n');
    const built = new URL('../../../dist/resource/load-code.js', import.meta.url).href;
    // In a process of its own: the test runner rewrites the stack traces of this one.
    const script = `import(${JSON.stringify(built)})
      .then((code) => code.loadOriginCode(${JSON.stringify(file)}))
      .catch((error) => { console.log(error.message); process.exit(); })`;
    const said = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(said).toContain('origins/a.ts:3:1 ReferenceError');
  });

  it('says so when nothing, or too much, is exported', async () => {
    const none = await failureOf(loadOriginCode(write('origins/a.ts', 'export const a = 1;')));
    expect(none.code).toBe('APPLICATION_INVALID');
    const two = write(
      'origins/b.ts',
      `import { defineOrigin } from 'millrace';
       export const a = defineOrigin({ get: () => null });
       export const b = defineOrigin({ get: () => null });`,
    );
    expect((await failureOf(loadOriginCode(two))).code).toBe('APPLICATION_INVALID');
  });

  it('leaves nothing behind in the temporary folder', async () => {
    const mine = () => readdirSync(tmpdir()).filter((name) => name.startsWith('millrace-code-'));
    const before = mine();
    await failureOf(loadOriginCode(write('origins/a.ts', 'export const a = 1;')));
    expect(mine()).toEqual(before);
  });
});
