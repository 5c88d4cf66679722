/** `millrace import` and `export` against a real node: rows go round in every format. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, runCommand, startNode } from '../support/node-process.ts';

const SCHEMA = `
type Seat @table @export { id: ID @primaryKey, row: Int! @indexed, note: String }
type Copy @table @export { id: ID @primaryKey, row: Int!, note: String }
`;

describe('rows of files', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': SCHEMA } });
  });
  afterAll(() => node.dispose());

  const env = { MILLRACE_ADMIN_USERNAME: ADMIN.username, MILLRACE_ADMIN_PASSWORD: ADMIN.password };
  const millrace = (...args: string[]) =>
    runCommand([...args, '--url', node.http], { env, cwd: node.folder });
  const file = (name: string, contents: string) => {
    writeFileSync(path.join(node.folder, name), contents);
    return name;
  };
  const contents = (name: string) => readFileSync(path.join(node.folder, name), 'utf8');

  it('brings 12,000 rows in, and gives them out in every format to come back equal', async () => {
    const rows = Array.from({ length: 12_000 }, (_, row) => ({
      id: `s${String(row).padStart(5, '0')}`,
      row,
      note: `seat ${row}, "window"\nor {aisle]`,
    }));
    const whole = file('rows.json', JSON.stringify(rows, null, 2));
    const imported = await millrace('import', 'Seat', whole);
    expect(imported.stdout).toContain('12000 rows written to Seat, 0 failed');
    expect(imported.code).toBe(0);
    for (const format of ['csv', 'ndjson', 'json']) {
      const name = `out.${format}`;
      expect((await millrace('export', 'Seat', '--out', name)).code).toBe(0);
      const back = await millrace('import', 'Copy', name, '--json');
      expect(JSON.parse(back.stdout)).toMatchObject({ table: 'Copy', written: 12_000, failed: 0 });
      const again = await millrace('export', 'Copy', '--out', `again-${name}`);
      expect(again.code).toBe(0);
      expect(contents(`again-${name}`)).toBe(contents(name));
    }
    expect(JSON.parse(contents('out.json'))).toEqual(rows);
  }, 60_000);

  it('gives out what a query chooses, on standard output', async () => {
    file('some.csv', 'id,row\na,900001\nb,900002\n');
    await millrace('import', 'Copy', 'some.csv');
    const { stdout } = await millrace('export', 'Copy', '--query', 'id=b', '--format', 'csv');
    expect(stdout).toBe('id,row,note\r\nb,900002,\n');
  });

  it('names file, line, attribute, value and cure of rows that fail', async () => {
    file('bad.ndjson', '{"id":"x1","row":1}\n\n{"id":"x2","row":"two"}\n{"id":"x3","row":3}\n');
    const stopped = await millrace('import', 'Seat', 'bad.ndjson');
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toMatch(
      /bad\.ndjson:3: .*row: expected Int!?, got string "two"; mend row/,
    );
    expect(stopped.stdout).toContain('1 rows written to Seat, 1 failed');
    const gone = await millrace('import', 'Seat', 'bad.ndjson', '--continue-on-error', '--json');
    expect(gone.code).toBe(1);
    expect(JSON.parse(gone.stdout)).toMatchObject({ written: 2, failed: 1, errors: [{ line: 3 }] });
  });

  it.each([
    ['a file that is not there', ['import', 'Seat', 'none.csv'], 2, 'no such file'],
    ['a name without a format', ['export', 'Seat', '--out', 'rows.dat'], 2, '--format'],
    ['an unknown format', ['export', 'Seat', '--format', 'xml'], 2, 'xml'],
    ['a table that is not there', ['export', 'Nothing'], 1, '404'],
  ])('says what is wrong with %s', async (_, args, code, said) => {
    const ended = await millrace(...args);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(said);
  });

  it('says where it looked when no node answers', async () => {
    file('one.ndjson', '{"id":"q","row":1}\n');
    const args = ['import', 'Seat', 'one.ndjson', '--url', 'http://127.0.0.1:9'];
    const ended = await runCommand(args, { env, cwd: node.folder });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('--url');
  });
});
