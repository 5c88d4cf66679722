/**
 * An application written for Harper 4.6 runs as it is: its own requests, kept as fixtures that were
 * written from that system's documentation, get the answers which it gives.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';

const place = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const EXAMPLE = place('examples/harper-app');

interface Fixture {
  readonly name: string;
  readonly as?: 'admin';
  readonly method: string;
  readonly path: string;
  readonly send?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number | readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly answer?: unknown;
  readonly contains?: string;
}

const fixtures = JSON.parse(
  readFileSync(place('test/fixtures/harper-app/requests.json'), 'utf8'),
) as Fixture[];

function filesOf(folder: string): AppFiles {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => statSync(path.join(folder, name)).isFile());
  return Object.fromEntries(
    files.map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
  );
}

const authorization = `Basic ${btoa(`${ADMIN.username}:${ADMIN.password}`)}`;

describe('an application written for Harper 4.6', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: filesOf(EXAMPLE) });
  });
  afterAll(() => node?.dispose());

  it.each(fixtures)('$method $path: $name', async (fixture) => {
    const response = await node.fetch(fixture.path, {
      method: fixture.method,
      headers: {
        ...(fixture.as === 'admin' ? { authorization } : {}),
        ...(fixture.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...fixture.send,
      },
      ...(fixture.body === undefined ? {} : { body: JSON.stringify(fixture.body) }),
    });
    const text = await response.text();
    expect([fixture.status].flat(), text).toContain(response.status);
    for (const [name, value] of Object.entries(fixture.headers ?? {})) {
      expect(response.headers.get(name)).toBe(value);
    }
    if (fixture.answer !== undefined) expect(JSON.parse(text)).toEqual(fixture.answer);
    if (fixture.contains !== undefined) expect(text).toContain(fixture.contains);
  });
});

describe('a config.yaml', () => {
  const check = async (files: AppFiles) => {
    const folder = writeApp(files);
    return runCommand(['check', folder], { env: { NO_COLOR: '1' } });
  };
  const schema = 'type A @table @export { id: ID @primaryKey }';

  it.each([
    ["fastifyRoutes:\n  files: 'routes/*.js'\n", 'config.yaml:1', 'fastifyRoutes'],
    ["rest: true\n'@acme/plugin':\n  package: '@acme/plugin'\n", 'config.yaml:2', '@acme/plugin'],
    ['graphqlSchemas: { files: x }\n', 'config.yaml:1', 'graphqlSchema'],
    ['jsResource: { files: missing.js }\n', 'config.yaml:1', 'missing.js'],
    ['jsResource: { files: ../../etc/passwd }\n', 'config.yaml:1', 'jsResource.files'],
    ["static: { files: 'web/**', urlPath: /x }\n", 'config.yaml:1', 'another path'],
  ])('%j is refused with its line', async (text, line, words) => {
    const { code, stdout, stderr } = await check({ 'config.yaml': text, 'a.graphql': schema });
    expect(code).toBe(2);
    expect(`${stdout}${stderr}`).toContain(line);
    expect(`${stdout}${stderr}`).toContain(words);
  });

  it('names schema files by patterns, which together are one schema', async () => {
    const { code, stdout } = await check({
      'config.yaml': "graphqlSchema: { files: 'schemas/**/*.graphql' }\n",
      'schemas/a.graphql': schema,
      'schemas/deep/b.graphql':
        'type B @table { id: ID @primaryKey  a: Part } type Part { n: Int }',
      'ignored.graphql': 'type C @table { id: ID @primaryKey }',
    });
    expect(code, stdout).toBe(0);
    expect(stdout).toContain('2 tables');
  });

  it('is why resources it does not name are left alone', async () => {
    const { code } = await check({ 'config.yaml': 'rest: true\n', 'resources.js': 'not code' });
    expect(code).toBe(0);
  });
});
