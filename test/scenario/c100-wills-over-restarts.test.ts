/**
 * Wills that a start of the node finds, whose clients do not come back: published with the rights
 * that their senders had and still have; of those of tokens nobody is there to ask any more.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectMqtt } from '../support/mqtt-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const PASSWORD = 'a long and quiet river';
const ALL = { read: true, insert: true, update: true, delete: true };
const FILES = {
  'schema.graphql': `
type Status @table @export(public: [read]) { id: ID! @primaryKey state: String }
`,
  'roles.yaml': JSON.stringify({
    whole: { tables: { Status: ALL } },
    part: { tables: { Status: { ...ALL, keys: ['own/#'] } } },
    former: { tables: { Status: ALL } },
  }),
};
/** One of them may do nothing any more. */
const LATER = {
  ...FILES,
  'roles.yaml': FILES['roles.yaml'].replace(
    `"former":{"tables":{"Status":${JSON.stringify(ALL)}}}`,
    '"former":{"tables":{}}',
  ),
};

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({ files: FILES });
});
afterAll(() => node?.dispose());

it('stores the will of who may still write anything there, and of nobody else', async () => {
  for (const role of ['whole', 'part', 'former']) {
    await node.operate({
      ...{ operation: 'add_user', username: role, password: PASSWORD, roles: [role] },
    });
  }
  await leave('part', { topic: 'Status/secret', delaySeconds: 0 });
  await leave('former', { topic: 'Status/former', delaySeconds: 0 });
  await leave('whole', { topic: 'Status/there', delaySeconds: 1 });
  await node.stop('SIGKILL');
  node = await startNode({ files: LATER, folder: node.folder });
  await until('the will of the other', async () => (await status('there')) === 200);
  expect(await status('secret')).toBe(404);
  expect(await status('former')).toBe(404);
});

/** Signs in with a will and stays until the node is gone. */
async function leave(username: string, will: { topic: string; delaySeconds: number }) {
  const payload = Buffer.from('{"state":"gone"}');
  const properties = { willDelayInterval: will.delaySeconds };
  await connectMqtt(node.mqtt, {
    ...{ username, password: PASSWORD, clientId: username },
    properties: { sessionExpiryInterval: 60 },
    will: { topic: will.topic, payload, qos: 1, retain: true, properties },
  });
}

const status = async (id: string): Promise<number> => (await node.fetch(`/Status/${id}`)).status;
