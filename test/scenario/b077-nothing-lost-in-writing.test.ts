/** What a write would lose without a word is kept, or refused with a reason: over the wire. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Sum @table @export(public: [read, insert, update, delete]) {
  id: ID @primaryKey, total: BigInt, all: [BigInt], near: Float, day: Date, word: Any
}
`;
const DIGITS = '123456789012345678901234567890';

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({ files: { 'schema.graphql': SCHEMA } });
});
afterAll(async () => node.dispose());

const send = (method: string, target: string, body: string, headers: Record<string, string> = {}) =>
  node.fetch(target, { method, body, headers: { ...JSON_BODY, ...headers } });
const record = async (id: string) => json(await node.fetch(`/Sum/${id}`));

it('keeps every digit of a whole number that is sent as a JSON number', async () => {
  const body = `{ "total" : ${DIGITS}, "all": [1, -${DIGITS}], "near": ${DIGITS}, "word": "\\"1" }`;
  expect((await send('PUT', '/Sum/a', body)).status).toBe(201);
  expect(await record('a')).toMatchObject({
    total: DIGITS,
    all: [1, `-${DIGITS}`],
    near: 1.2345678901234568e29,
    word: '"1',
  });
  expect((await send('PATCH', '/Sum/a', `{"total":${DIGITS}1}`)).status).toBe(204);
  expect(await record('a')).toMatchObject({ total: `${DIGITS}1` });
  const found = await json(await node.fetch(`/Sum/?total=${DIGITS}1&select(id)`));
  expect(found).toEqual(['a']);
});

it('keeps the digits in lists of records and in lines', async () => {
  const rows = [`{"id":"l1","total":${DIGITS}}`, `{"id":"l2","total":-${DIGITS},"near":1}`];
  expect((await send('PUT', '/Sum/', `[${rows.join()}]`)).status).toBe(200);
  expect(await record('l2')).toMatchObject({ total: `-${DIGITS}`, near: 1 });
  const lines = rows.join('\n').replaceAll('"l', '"n');
  const type = { 'content-type': 'application/x-ndjson' };
  expect((await send('PUT', '/Sum/', lines, type)).status).toBe(200);
  expect(await record('n1')).toMatchObject({ total: DIGITS });
});

it('refuses numbers beyond all numbers, which would be stored as null', async () => {
  const refused = await send('PUT', '/Sum/b', '{"word":{"deep":[1e400]}}');
  const problem = await expectProblem(refused, 400, 'BODY_MALFORMED');
  expect(problem.detail).toMatch(/1\.8e308/);
  expect((await send('PUT', '/Sum/b', '{"word":1e300,"near":1e-999}')).status).toBe(201);
  expect(await record('b')).toEqual({ id: 'b', word: 1e300, near: 0 });
});

it('refuses days that no calendar has', async () => {
  for (const day of ['2026-02-30', '2026-02-29T00:00:00Z', '2026-04-31', '1900-02-29']) {
    const refused = await send('PUT', '/Sum/c', JSON.stringify({ day }));
    const problem = await expectProblem(refused, 400, 'RECORD_INVALID');
    expect(problem.detail).toMatch(/day: expected Date/);
  }
  for (const day of ['2024-02-29', '2000-02-29T12:00:00+01:00', '2026-12-31', '-000001-01-31']) {
    expect((await send('PUT', '/Sum/c', JSON.stringify({ day }))).status).toBeLessThan(300);
  }
});

it('refuses operations that there are not, and leaves the counter as it is', async () => {
  expect((await send('PUT', '/Sum/d', '{"n":3}')).status).toBe(201);
  for (const n of [{ __op__: 'mul', value: 2 }, { __op__: 'add', value: '2' }, { __op__: 'add' }]) {
    const refused = await send('PATCH', '/Sum/d', JSON.stringify({ n }));
    const problem = await expectProblem(refused, 400, 'RECORD_INVALID');
    expect(problem.detail).toMatch(/n: expected \{"__op__":"add"/);
  }
  expect((await send('PATCH', '/Sum/d', '{"n":{"__op__":"add","value":2}}')).status).toBe(204);
  expect(await record('d')).toEqual({ id: 'd', n: 5 });
});

it('adds to a whole number of many digits as doubles are added', async () => {
  expect((await send('PUT', '/Sum/e', `{"total":${DIGITS}}`)).status).toBe(201);
  expect((await send('PATCH', '/Sum/e', '{"total":{"__op__":"add","value":1e20}}')).status).toBe(
    204,
  );
  expect(await record('e')).toEqual({ id: 'e', total: Number(DIGITS) + 1e20 });
});
