/** Applications with mistakes: `check` and `start` say all of them at once, with place and cure. */
import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type AppFiles, runCommand, writeApp } from '../support/node-process.ts';

const GOOD: AppFiles = {
  'schema.graphql': [
    'type Item @table @sourcedFrom(origin: "shop") @cache(policy: "mine")',
    '@export { id: ID @primaryKey }\n',
  ].join(' '),
  'origins/shop.yaml': 'kind: http\nurl: https://api.example.com\n',
  'origins/code.ts': [
    "import { defineOrigin } from 'millrace';",
    'export const origin = defineOrigin({ get: async (id) => ({ id }) });\n',
  ].join('\n'),
  'cache-policies/mine.yaml': 'freshness: { default: 30s }\n',
  'millrace.yaml': 'threads: 1\n',
};

/** What is broken, the files which differ, and lines that must be said. */
const BROKEN: readonly (readonly [string, AppFiles, readonly (string | RegExp)[]])[] = [
  [
    'a directive nobody knows',
    { 'schema.graphql': 'type Item @table {\n  id: ID @primaryKey\n  a: Int @indexd\n}\n' },
    ['schema.graphql:3:10', /cure: .*@indexed/],
  ],
  ['no GraphQL', { 'schema.graphql': 'type Item @table {\n  id ID\n}\n' }, ['schema.graphql:2:']],
  [
    'a policy with a unit that is none',
    { 'cache-policies/mine.yaml': 'freshness:\n  default: 30 parsecs\n' },
    ['cache-policies/mine.yaml:2:', /cure: /],
  ],
  [
    'an origin of a kind nobody knows',
    { 'origins/shop.yaml': 'kind: htp\nurl: https://api.example.com\n' },
    ['origins/shop.yaml:1:7', 'cure: did you mean http?'],
  ],
  [
    'an origin that is not there',
    { 'schema.graphql': 'type Item @table @sourcedFrom(origin: "shp") { id: ID @primaryKey }\n' },
    ['schema.graphql:1:', /cure: .*shop/],
  ],
  [
    'a setting nobody knows',
    { 'millrace.yaml': 'http:\n  prot: 80\n' },
    ['millrace.yaml:2:', /cure: .*port/],
  ],
  [
    'a limit that is no number',
    { 'millrace.yaml': 'limits:\n  urlBytesMax: many\n' },
    ['millrace.yaml:2:'],
  ],
  [
    'code that does not compile',
    {
      'origins/code.ts':
        "import { defineOrigin } from 'millrace';\nexport const origin = defineOrigin({ get( });\n",
    },
    ['origins/code.ts:2:'],
  ],
  [
    'code that throws when it is loaded',
    {
      'origins/code.ts':
        'const nothing = undefined as unknown as { a: { b: 1 } };\nexport const a = nothing.a.b;\n',
    },
    ['origins/code.ts:2:', 'TypeError'],
  ],
  [
    'code that exports no origin',
    { 'origins/code.ts': 'export const origin = 1;\n' },
    ['origins/code.ts', /cure: .*defineOrigin/],
  ],
  [
    'code that an origin of kind module names and is not there',
    { 'origins/shop.yaml': 'kind: module\nmodule: ./nowhere.ts\n' },
    ['nowhere.ts'],
  ],
  [
    'origins that cannot be opened, and certificates that are not there',
    {
      'origins/base.yaml': 'kind: postgres\nurl: postgres://u@127.0.0.1/x\n',
      'origins/topics.yaml': 'kind: mqtt\nurl: mqtt://127.0.0.1:1\n',
      'millrace.yaml': 'tls: { cert: ./none.pem, key: ./none.key }\n',
    },
    [
      /origins\/base.yaml:1:1 .*needs a table, or a query/,
      /origins\/topics.yaml:1:1 .*needs a topic/,
      /millrace.yaml tls.cert cannot be read/,
    ],
  ],
  [
    'settings that would count for nothing',
    {
      'millrace.yaml': 'tls: { clientCa: ./ca.pem }\n',
      'roles.yaml':
        'anonymous: { admin: true }\na: { tables: { Item: { read: true, keys: ["a/#/b"] } } }\n',
    },
    [
      /tls.clientCa is set, and TLS is not/,
      /roles.yaml:1:\d+ anonymous cannot be admin/,
      /roles.yaml:2:\d+ a.tables.Item.keys\[0\] is "a/,
    ],
  ],
];

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function app(files: AppFiles): string {
  const folder = writeApp(files);
  folders.push(folder);
  return folder;
}

const start = (folder: string) =>
  runCommand(['start', folder, '--http-port', '0', '--admin-port', '0']);

describe('an application with mistakes', () => {
  it.each(BROKEN)('is refused by check and start for %s', async (_what, files, said) => {
    const folder = app({ ...GOOD, ...files });
    const [checked, started] = await Promise.all([runCommand(['check', folder]), start(folder)]);
    for (const { code, stdout, stderr } of [checked, started]) {
      expect([code, stdout]).toEqual([2, '']);
      for (const part of said) {
        if (typeof part === 'string') expect(stderr).toContain(part);
        else expect(stderr).toMatch(part);
      }
    }
  });

  it('hears of all its mistakes in one run', async () => {
    const files = Object.assign({ ...GOOD }, ...BROKEN.slice(2, 4).map(([, broken]) => broken));
    const folder = app({
      ...files,
      ...{ 'schema.graphql': 'type Item @tabel { id: ID }\n', 'millrace.yaml': 'thread: 1\n' },
      'origins/code.ts': 'export const origin = ;\n',
    });
    for (const run of [runCommand(['check', folder]), start(folder)]) {
      const { code, stderr } = await run;
      expect(code).toBe(2);
      const names = ['schema.graphql:1:', 'millrace.yaml:1:', 'origins/shop.yaml:1:'];
      for (const place of [...names, 'origins/code.ts:1:', 'cache-policies/mine.yaml:2:']) {
        expect(stderr).toContain(place);
      }
    }
  });

  it('is told of a flag or variable that is wrong, by its name', async () => {
    const folder = app(GOOD);
    const flag = await runCommand(['start', folder, '--http-port', 'eighty']);
    expect([flag.code, flag.stdout]).toEqual([2, '']);
    expect(flag.stderr).toContain('--http-port');
    const env = { MILLRACE_THREADS: 'lots' };
    const variable = await runCommand(['start', folder], { env });
    expect(variable.code).toBe(2);
    expect(variable.stderr).toContain('MILLRACE_THREADS');
  });

  it('has none when check says so', async () => {
    const { code, stdout, stderr } = await runCommand(['check', app(GOOD)]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('1 table');
  });
});

describe('the command', () => {
  it('prints its version', async () => {
    for (const args of [['version'], ['--version']]) {
      const { code, stdout } = await runCommand(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    }
  });

  it.each([
    ['a command nobody knows', ['strat'], 'start'],
    ['a flag nobody knows', ['start', '--http-prot', '1'], '--http-port'],
    ['a folder that is not there', ['check', '/nowhere/at/all'], '/nowhere/at/all'],
    ['an argument too many', ['version', 'now'], 'version'],
  ])('refuses %s as wrong usage', async (_what, args, said) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(said);
  });
});
