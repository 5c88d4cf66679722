/**
 * `cluster.select` over three real nodes, each with rules of its own: what one does not send, or
 * the other does not receive, does not travel, by table, key prefix and direction; and no node
 * takes another's word for what that one does not hold itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/node-process.ts';

const PUBLIC = '@export(public: [read, insert, update, delete])';
const files = {
  'schema.graphql': ['Item', 'Reading']
    .map((name) => `type ${name} @table ${PUBLIC} { id: ID @primaryKey, name: String }\n`)
    .join(''),
};
const rules = (...lines: string[]) => ({
  'millrace.yaml': `cluster:\n  select:\n${lines.map((line) => `    - ${line}\n`).join('')}`,
});
const NAMES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NAMES)[number];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files, names: ['n1'] });
  const [first] = NAMES;
  const terms = { peers: [first] };
  const drafts = '{ table: Item, prefix: "draft-", direction: none }';
  const taken = '{ table: Reading, direction: receive }';
  await cluster.start('n2', { ...terms, files: rules(drafts, taken) });
  const european = '{ table: Item, prefix: "eu-", direction: send }';
  const given = '{ table: Reading, direction: send }';
  await cluster.start('n3', { ...terms, files: rules(european, given) });
  await cluster.live(NAMES);
});
afterAll(() => cluster.dispose());

let marks = 0;
/** Writes a row at a node, and waits until what that node wrote behind it is at the others. */
async function passed(name: Name, target: string, others: readonly Name[]): Promise<void> {
  const node = cluster.node(name);
  expect((await node.put(target, { name })).status).toBe(201);
  marks += 1;
  const mark = `/Item/mark${marks}`;
  await node.put(mark, { name });
  for (const other of others) {
    await until(
      `${mark} at ${other}`,
      async () => (await cluster.node(other).fetch(mark)).ok,
      45_000,
    );
  }
}
const statusOf = async (name: Name, target: string): Promise<number> => {
  const answer = await cluster.node(name).fetch(target);
  await answer.arrayBuffer();
  return answer.status;
};
const statuses = (target: string) => Promise.all(NAMES.map((name) => statusOf(name, target)));

describe('rules of selection [R1]', () => {
  it.each([
    ['a row that no rule names', 'n1', '/Item/plain', [200, 200, 200]],
    ['keys that one neither sends nor receives', 'n1', '/Item/draft-1', [200, 404, 200]],
    ['such keys of its own', 'n2', '/Item/draft-2', [404, 200, 404]],
    ['keys that one sends only', 'n3', '/Item/eu-3', [200, 200, 200]],
    ['such keys of others', 'n1', '/Item/eu-1', [200, 200, 404]],
    ['a table that one sends only', 'n3', '/Reading/3', [200, 200, 200]],
    ['such a table of others', 'n1', '/Reading/1', [200, 200, 404]],
    ['a table that one receives only', 'n2', '/Reading/2', [404, 200, 404]],
  ] as const)(
    'let travel as they say: %s, written at %s',
    async (_what, name, target, expected) => {
      await passed(
        name,
        target,
        NAMES.filter((other) => other !== name),
      );
      expect(await statuses(target)).toEqual(expected);
    },
  );

  it('have nobody believe a relay that holds less: what it left out comes later', async () => {
    cluster.network.cut('n1', 'n3');
    try {
      await passed('n1', '/Item/draft-cut', ['n2']);
      expect(await statusOf('n2', '/Item/draft-cut')).toBe(404);
    } finally {
      cluster.network.heal('n1', 'n3');
    }
    const isThere = async () => (await statusOf('n3', '/Item/draft-cut')) === 200;
    await until('what the relay did not hold', isThere, 45_000);
    await passed('n1', '/Item/after', ['n2', 'n3']);
    expect(await statuses('/Item/draft-cut')).toEqual([200, 404, 200]);
  });

  it('are no reason for repairs that never end', async () => {
    for (const name of NAMES) await cluster.node(name).operate({ operation: 'cluster_verify' });
    await passed('n1', '/Item/draft-verified', ['n2', 'n3']);
    expect(await statuses('/Item/draft-verified')).toEqual([200, 404, 200]);
    expect(await statuses('/Item/draft-2')).toEqual([404, 200, 404]);
  });
});
