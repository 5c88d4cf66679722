/** Classes whose methods act on a record, and what tables offer to code, on a real node. */
import { decode as decodeCbor } from 'cbor-x';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Dog @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey, name: String, age: Int, walks: Int, tricks: [String], search: String
}
type Breed @table @export(public: [read]) { id: ID @primaryKey, asked: Int }
`;

/** In the style of applications of 4.6: methods of the record, bodies first. */
const RESOURCES = `
import { Resource, tables } from 'harperdb';

export class Dog extends tables.Dog {
  get(query) {
    this.humanAge = 15 + this.age * 5;
    return super.get(query);
  }
  async post(data) {
    if (this.getId() === undefined) return super.post(data);
    if (data.trick) this.tricks = [...(this.tricks ?? []), data.trick];
    if (data.walked) this.addTo('walks', 1);
    if (data.lost) this.subtractFrom('walks', 1);
    if (data.fail) throw Object.assign(new Error('no'), { statusCode: 409 });
    return { before: this.getProperty('search'), known: this.getUpdatedTime() > 0 };
  }
  put(data) {
    return super.put({ ...data, name: data.name.trim() });
  }
  validate(record) {
    if (record.age !== undefined && record.age < 0) throw new Error('age: a dog is born first');
  }
}
let asked = 0;
tables.Breed.sourcedFrom({
  get(id, context) {
    asked += 1;
    return { asked };
  },
});
export class Fetched extends tables.Breed {
  allowRead() { return true; }
  allowCreate() { return true; }
  get() { return { asked: this.asked, fetched: this.wasLoadedFromSource() }; }
  async post() {
    const before = this.asked ?? null;
    await this.ensureLoaded();
    return { before, after: this.asked };
  }
}
export class Tools extends Resource {
  static public = ['read', 'insert'];
  static async get(target, context) {
    if (target.id === 'count') return tables.Dog.getRecordCount({ exactCount: true });
    context.onlyIfCached = target.has('cached');
    context.noCache = target.has('anew');
    return tables.Breed.get('x', context);
  }
  static async post(target, body) {
    if (body.message) return tables.Dog.publish('rex', body.message);
    const dog = await tables.Dog.update('rex', { name: body.name });
    dog.age += 1;
    dog.addTo('walks', 2);
  }
}
export class Values extends Resource {
  static public = ['read'];
  static get(target) {
    if (target.id === 'list') return [{ a: 1, b: 'x' }, { a: 2, b: 'y' }];
    return (function* () { yield { a: 1, b: 'x' }; yield { a: 2, b: 'y' }; })();
  }
}
`;

const post = (body: object): RequestInit => ({
  method: 'POST',
  headers: JSON_BODY,
  body: JSON.stringify(body),
});

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({ files: { 'schema.graphql': SCHEMA, 'resources.js': RESOURCES } });
});
afterAll(() => node.dispose());

describe('a class whose methods act on a record', () => {
  const rex = { name: ' Rex ', age: 2, walks: 1, search: 'hidden' };

  it('has the attributes of the record as properties, and returns them with its own', async () => {
    expect((await node.put('/Dog/rex', rex)).ok).toBe(true);
    expect(await json(await node.fetch('/Dog/rex'))).toEqual({
      id: 'rex',
      ...rex,
      name: 'Rex',
      humanAge: 25,
    });
    expect((await node.fetch('/Dog/nobody')).status).toBe(404);
    const all = (await json(await node.fetch('/Dog/'))) as unknown[];
    expect(all).toMatchObject([{ id: 'rex', name: 'Rex' }]);
  });

  it('writes what a writing method changed, and reaches attributes named like methods', async () => {
    const answer = await json(await node.fetch('/Dog/rex', post({ trick: 'sit' })));
    expect(answer).toEqual({ before: 'hidden', known: true });
    expect(await json(await node.fetch('/Dog/rex'))).toMatchObject({ tricks: ['sit'], age: 2 });
  });

  it('writes nothing of what a reading method changed, or one that throws', async () => {
    expect((await node.fetch('/Dog/rex', post({ trick: 'roll', fail: true }))).status).toBe(409);
    const stored = (await json(await node.fetch('/Dog/?id=rex'))) as unknown[];
    expect(stored).toMatchObject([{ tricks: ['sit'] }]);
    expect(stored[0]).not.toHaveProperty('humanAge');
  });

  it('loses no addition of many at once', async () => {
    const walks = Array.from({ length: 10 }, () => node.fetch('/Dog/rex', post({ walked: true })));
    await Promise.all([...walks, node.fetch('/Dog/rex', post({ lost: true }))]);
    expect(await json(await node.fetch('/Dog/rex'))).toMatchObject({ walks: 10 });
  });

  it('refuses a record which its validate() throws for', async () => {
    const answer = await node.put('/Dog/bad', { name: 'x', age: -1 });
    const problem = await expectProblem(answer, 400, 'RECORD_INVALID');
    expect(problem.detail).toBe('age: a dog is born first');
    expect((await node.fetch('/Dog/bad')).status).toBe(404);
  });

  it('asks the origin for a read, and for other methods when they say so', async () => {
    expect(await json(await node.fetch('/Fetched/a', post({})))).toEqual({
      before: null,
      after: 1,
    });
    expect(await json(await node.fetch('/Fetched/a'))).toEqual({ asked: 1, fetched: false });
    expect(await json(await node.fetch('/Fetched/b'))).toEqual({ asked: 2, fetched: true });
  });
});

describe('a table in code', () => {
  it('counts its records', async () => {
    expect(await json(await node.fetch('/Tools/count'))).toEqual({ recordCount: 1 });
  });

  it('yields a record to be changed, written with the transaction', async () => {
    expect((await node.fetch('/Tools/x', post({ name: 'Max' }))).status).toBe(204);
    const changed = await json(await node.fetch('/Dog/rex'));
    expect(changed).toMatchObject({ name: 'Max', age: 3, walks: 12 });
  });

  it('publishes a message to those who follow a record, which stays as it is', async () => {
    const leaving = new AbortController();
    const headers = { accept: 'text/event-stream' };
    const stream = await node.fetch('/Dog/rex', { headers, signal: leaving.signal });
    let text = '';
    const reading = (async () => {
      for await (const chunk of stream.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await until('the record', () => text.includes('"retained":true'));
    expect((await node.fetch('/Tools/x', post({ message: { bark: 1 } }))).status).toBe(204);
    await until('the message', () => text.includes('event: message'));
    expect(text).toContain('"value":{"bark":1}');
    leaving.abort();
    await reading;
    expect(await json(await node.fetch('/Dog/rex'))).toMatchObject({ name: 'Max' });
  });

  it('reads under the caching wishes of the context', async () => {
    await expectProblem(await node.fetch('/Tools/x?cached'), 504, 'NOT_CACHED');
    const first = (await json(await node.fetch('/Tools/x'))) as { asked: number };
    expect(await json(await node.fetch('/Tools/x?cached'))).toEqual(first);
    const anew = await json(await node.fetch('/Tools/x?anew'));
    expect(anew).toMatchObject({ asked: first.asked + 1 });
  });
});

describe('the answer of a resource', () => {
  const VALUES = [
    { a: 1, b: 'x' },
    { a: 2, b: 'y' },
  ];

  it.each(['/Values/list', '/Values/rows'])('of %s comes in the format asked for', async (path) => {
    const as = (accept: string) => node.fetch(path, { headers: { accept } });
    expect(await json(await as('application/json'))).toEqual(VALUES);
    const cbor = await as('application/cbor');
    expect(cbor.headers.get('content-type')).toBe('application/cbor');
    expect(decodeCbor(Buffer.from(await cbor.arrayBuffer()))).toEqual(VALUES);
    const csv = await as('text/csv');
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect((await csv.text()).split(/\r?\n/)).toEqual(['a,b', '1,x', '2,y', '']);
    const lines = await as('application/x-ndjson');
    expect(await lines.text()).toBe('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n');
    expect(await json(await as('image/png'))).toEqual(VALUES);
  });
});
