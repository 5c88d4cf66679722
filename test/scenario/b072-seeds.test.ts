/** Records that an application brings along: there at the start, never over what users did. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { json } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const SCHEMA = `
type Dog @table ${OPEN} { id: ID @primaryKey, name: String, age: Int, at: Date @updatedTime }
type Breed @table ${OPEN} { id: Int @primaryKey, name: String }
type Fact @table @sealed ${OPEN} { id: ID @primaryKey, text: String! }
type Cat @table ${OPEN} { id: ID @primaryKey, name: String, size: Any }
`;
const FILES: AppFiles = {
  'schema.graphql': SCHEMA,
  'seed/Dog.json': JSON.stringify([
    { id: 'rex', name: 'Rex', age: 2 },
    { id: 'max', name: 'Max', age: 3 },
    { id: 'ida', name: 'Ida', age: 4 },
  ]),
  'seed/Breed.csv': 'id,name\n1,"Poodle, small"\n2,Pug\n',
  'seed/Fact.ndjson': '{"id":"a","text":"one"}\n{"id":"b","text":"two"}\n',
  'seed/cats.yaml': 'table: Cat\nrecords:\n  - { id: tom, name: Tom, size: { cm: 40 } }\n',
};
const folders: NodeProcess[] = [];
afterAll(async () => {
  for (const node of folders) await node.dispose();
});

async function start(files: AppFiles, folder?: string, threads = '1'): Promise<NodeProcess> {
  const node = await startNode({
    files,
    flags: ['--threads', threads],
    ...(folder === undefined ? {} : { folder }),
  });
  folders.push(node);
  return node;
}
const record = async (node: NodeProcess, target: string) => {
  const response = await node.fetch(target);
  return response.ok ? ((await json(response)) as Record<string, unknown>) : response.status;
};

describe('seed records', () => {
  it('are there at the start, and users have the last word on each of them', async () => {
    const first = await start(FILES, undefined, '2');
    expect(await record(first, '/Dog/rex')).toMatchObject({ name: 'Rex', age: 2 });
    expect(await record(first, '/Breed/1')).toEqual({ id: 1, name: 'Poodle, small' });
    expect(await record(first, '/Fact/b')).toEqual({ id: 'b', text: 'two' });
    expect(await record(first, '/Cat/tom')).toEqual({ id: 'tom', name: 'Tom', size: { cm: 40 } });
    await first.put('/Dog/rex', { name: 'Rexy' });
    await first.fetch('/Dog/max', { method: 'DELETE' });
    await first.put('/Dog/new', { name: 'Own' });
    await first.stop();

    const again = await start(FILES, first.folder);
    expect(await record(again, '/Dog/rex')).toMatchObject({ name: 'Rexy' });
    expect(await record(again, '/Dog/max')).toBe(404);
    await again.stop();

    const changed = JSON.stringify([
      { id: 'rex', name: 'Changed' },
      { id: 'max', name: 'Changed' },
      { id: 'new', name: 'Changed' },
      { id: 'ida', name: 'Ida the second' },
      { id: 'eve', name: 'Eve' },
    ]);
    const last = await start({ ...FILES, 'seed/Dog.json': changed }, first.folder);
    expect(await record(last, '/Dog/rex')).toMatchObject({ name: 'Rexy' });
    expect(await record(last, '/Dog/max')).toBe(404);
    expect(await record(last, '/Dog/new')).toMatchObject({ name: 'Own' });
    // What nobody touched follows the file, which merges into it.
    expect(await record(last, '/Dog/ida')).toMatchObject({ name: 'Ida the second', age: 4 });
    expect(await record(last, '/Dog/eve')).toMatchObject({ name: 'Eve' });
    await last.stop();
  });

  it('are those which dataLoader of a config.yaml names', async () => {
    const node = await start({
      'schema.graphql': SCHEMA,
      'config.yaml':
        "rest: true\ngraphqlSchema: { files: '*.graphql' }\n" +
        "dataLoader: { files: 'data-files/*.{json,yaml}' }\n",
      'data-files/dogs.json': JSON.stringify({
        database: 'data',
        table: 'Dog',
        records: [{ id: 'rex', name: 'Rex' }],
      }),
      'seed/Cat.json': '[{"id":"unnamed"}]',
    });
    expect(await record(node, '/Dog/rex')).toMatchObject({ name: 'Rex' });
    expect(await record(node, '/Cat/unnamed')).toBe(404);
    await node.stop();
  });

  it('are refused before anything is started, each with its file and record', async () => {
    const folder = writeApp({
      ...FILES,
      'schema.graphql':
        `${SCHEMA}type Held @table @sourcedFrom(origin: "o", path: "/{id}") ` +
        '{ id: ID @primaryKey }',
      'origins/o.yaml': 'kind: http\nurl: http://example.com\n',
      'seed/Dog.json': '[{"name":"no key"},{"id":"x","age":"old"},7]',
      'seed/Dgo.json': '[]',
      'seed/Held.json': '[{"id":"x"}]',
      'seed/Fact.ndjson': '{"id":"a"}\nnot json\n',
      'seed/cats.yaml': 'records: [',
      'seed/Breed.csv': 'id,name\nx,y\n',
    });
    const { code, stderr } = await runCommand(['check', folder], { env: { NO_COLOR: '1' } });
    expect(code).toBe(2);
    for (const words of [
      'seed/Dog.json',
      'record 1: id: a seed names its key',
      'record 2: age',
      'record 3: is no record',
      'there is no table Dgo',
      'Held is a cache',
      'seed/Fact.ndjson',
      'seed/cats.yaml:1',
      'seed/Breed.csv',
    ]) {
      expect(stderr).toContain(words);
    }
    const started = await runCommand(['start', folder, '--http-port', '0', '--admin-port', '0']);
    expect(started.code).toBe(2);
    expect(readFileSync(path.join(folder, 'seed/Dgo.json'), 'utf8')).toBe('[]');
  });
});
