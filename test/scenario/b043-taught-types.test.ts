/** What code teaches the node: media types of its own, figures of its own; and binary answers. */
import { decode, encode } from 'cbor-x';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, runCommand, startNode, writeApp } from '../support/node-process.ts';

const RESOURCES = `
import { Resource, contentTypes, server, tables } from 'millrace';

contentTypes.set('text/x-facts', {
  serialize: (value) => [value].flat().map((row) => row.id + ' is ' + row.name).join('\\n'),
  deserialize: (body) => {
    const [id, name] = body.toString().split(' is ');
    if (name === undefined) throw new Error('write "ID is NAME"');
    return { id, name };
  },
});

tables.Named.setComputedAttribute('initial', ({ name }) => name?.[0]?.toUpperCase());

export class Sum extends Resource {
  static public = ['read', 'insert'];
  static get() { return { id: 'x', name: 'three', sum: 3 }; }
  static post(target, body) { server.recordAnalytics(body.value, 'orders', 'shop'); return body; }
}

export class Rows extends Resource {
  static public = ['read'];
  static async *get() { yield 1; yield { two: 2 }; }
}

export class Tally extends tables.Named {
  static loadAsInstance = false;
  static public = ['insert', 'read'];
  async post(target) {
    const record = await this.update(target.id);
    record.addTo('count', 2);
    record.subtractFrom('count', 1);
    record.set('name', 'tallied');
    delete record.gone;
    return { count: await tables.Named.getRecordCount(), name: record.getProperty('name') };
  }
}
`;
const SCHEMA =
  'type Named @table @export(public: [read, insert, update, subscribe]) ' +
  '{ id: ID @primaryKey  name: String  count: Int  initial: String @computed @indexed }';

describe('what code teaches the node', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': SCHEMA, 'resources/a.js': RESOURCES } });
  });
  afterAll(() => node?.dispose());

  const facts = { 'content-type': 'text/x-facts' };

  it('is how tables take and give records', async () => {
    const put = await node.fetch('/Named/a', { method: 'PUT', headers: facts, body: 'a is Ann' });
    expect(put.status).toBe(201);
    const got = await node.fetch('/Named/a', { headers: { accept: 'text/x-facts' } });
    expect(got.headers.get('content-type')).toMatch(/^text\/x-facts/);
    expect(await got.text()).toBe('a is Ann');
    const all = await node.fetch('/Named/?name=Ann', { headers: { accept: 'text/x-facts' } });
    expect(await all.text()).toBe('a is Ann');
    const json = await node.fetch('/Named/a');
    expect(await json.json()).toEqual({ id: 'a', name: 'Ann' });
    expect(json.headers.get('etag')).not.toBe(got.headers.get('etag'));
  });

  it('is how a computed attribute gets its value, in indexes too', async () => {
    await node.put('/Named/z', { name: 'zoe' });
    const found = await node.fetch('/Named/?initial=Z&select(id,initial)');
    expect(await found.json()).toEqual([{ id: 'z', initial: 'Z' }]);
  });

  it('makes a body that it cannot read the mistake of the client', async () => {
    const put = await node.fetch('/Named/b', { method: 'PUT', headers: facts, body: 'nonsense' });
    expect(put.status).toBe(400);
    expect(await put.text()).toContain('ID is NAME');
  });

  it('is how resources answer', async () => {
    const got = await node.fetch('/Sum', { headers: { accept: 'text/x-facts' } });
    expect(await got.text()).toBe('x is three');
  });

  it('is added to CBOR and MessagePack, as bodies, values and rows', async () => {
    const type = 'application/cbor';
    const cbor = await node.fetch('/Sum', { headers: { accept: type } });
    expect(cbor.headers.get('content-type')).toBe(type);
    expect(decode(Buffer.from(await cbor.arrayBuffer()))).toMatchObject({ sum: 3 });
    const rows = await node.fetch('/Rows', { headers: { accept: type } });
    expect(decode(Buffer.from(await rows.arrayBuffer()))).toEqual([1, { two: 2 }]);
    const posted = await node.fetch('/Sum', {
      method: 'POST',
      headers: { 'content-type': type },
      body: encode({ value: 2.5 }),
    });
    expect(await posted.json()).toEqual({ value: 2.5 });
  });

  it('is counted where code says so', async () => {
    const post = (value: number) =>
      node.fetch('/Sum', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ value }),
      });
    const labels = { metric: 'orders', path: 'shop' };
    const before = await node.metric('millrace_app_measurements_sum', labels);
    await Promise.all([post(1), post(2), post(4)]);
    expect(await node.metric('millrace_app_measurements_sum', labels)).toBe(before + 7);
  });

  it('changes records by assignment, and loses no addition', async () => {
    const tally = () => node.fetch('/Tally/t', { method: 'POST' });
    const answers = await Promise.all(Array.from({ length: 20 }, tally));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const got = await node.fetch('/Named/t');
    expect(await got.json()).toEqual({ id: 't', name: 'tallied', count: 20 });
  });
});

describe('check', () => {
  it('names the line of a class whose path another one has', async () => {
    const code = [
      "import { Resource, tables } from 'millrace';",
      'export class Old extends tables.Named {}',
      'export class Newer extends Resource {',
      "  static path = '/Old';",
      '}',
    ].join('\n');
    const folder = writeApp({ 'schema.graphql': SCHEMA, 'resources/old.js': code });
    const { code: exit, stdout, stderr } = await runCommand(['check', folder]);
    expect(exit).toBe(2);
    expect(`${stdout}${stderr}`).toContain('resources/old.js:2');
  });
});
