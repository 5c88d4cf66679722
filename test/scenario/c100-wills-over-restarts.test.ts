/**
 * Wills that a start of the node finds, whose clients do not come back: published with what their
 * senders may do by then, however they had signed in; who is known no more publishes nothing.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
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

const keyServer = createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] })));
const { privateKey, publicKey } = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'one' };

const issuerOf = (name: string) => ({
  ...{ name, issuer: `https://${name}.test/`, audience: 'here', allowPrivate: true },
  keys: `http://127.0.0.1:${(keyServer.address() as AddressInfo).port}/`,
  ...{ algorithms: ['ES256'], roleMap: { staff: 'part' } },
});
const trusting = (...names: string[]) => ({
  'millrace.yaml': JSON.stringify({ auth: { issuers: names.map(issuerOf) } }),
});
const tokenOf = (name: string, sub: string): Promise<string> =>
  new SignJWT({ roles: ['staff'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(`https://${name}.test/`)
    .setAudience('here')
    .setSubject(sub)
    .setExpirationTime('1h')
    .sign(privateKey);

let node: NodeProcess;
beforeAll(async () => {
  await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', () => resolve()));
  node = await startNode({ files: { ...FILES, ...trusting('corp', 'parted') } });
});
afterAll(async () => {
  await node?.dispose();
  keyServer.close();
});

it('stores the will of who may still write there, however they signed in', async () => {
  for (const role of ['whole', 'part', 'former']) {
    await node.operate({
      ...{ operation: 'add_user', username: role, password: PASSWORD, roles: [role] },
    });
  }
  const keyFor = async (...scopes: string[]): Promise<string> => {
    const made = { operation: 'create_api_key', name: 'key', username: 'whole', scopes };
    return ((await node.operate(made)) as { key: string }).key;
  };
  const asked = { operation: 'create_authentication_tokens', username: 'whole' };
  const pair = await node.operate({ ...asked, password: PASSWORD });
  const { operation_token: own } = pair as { operation_token: string };
  await leave('part', { topic: 'Status/secret' });
  await leave('former', { topic: 'Status/former' });
  await leave('reads', { topic: 'Status/by-reading-key', password: await keyFor('read:Status') });
  await leave('writes', { topic: 'Status/by-key', password: await keyFor('*:Status') });
  await leave('own', { topic: 'Status/by-token', password: own });
  await leave('corp', { topic: 'Status/own/corp', password: await tokenOf('corp', 'ann') });
  await leave('beyond', { topic: 'Status/corp', password: await tokenOf('corp', 'bob') });
  await leave('parted', { topic: 'Status/own/parted', password: await tokenOf('parted', 'cy') });
  await leave('whole', { topic: 'Status/there', delaySeconds: 1 });
  await node.stop('SIGKILL');
  node = await startNode({
    files: { ...LATER, ...trusting('corp') },
    folder: node.folder,
  });
  await until('the will of the other', async () => (await status('there')) === 200);
  for (const id of ['by-key', 'by-token', 'own/corp']) {
    await until(`the will ${id}`, async () => (await status(id)) === 200);
  }
  const refused = ['secret', 'former', 'by-reading-key', 'corp', 'own/parted'];
  for (const id of refused) expect([id, await status(id)]).toEqual([id, 404]);
  const counted = await node.metric('millrace_mqtt_refused_total', { kind: 'publish' });
  expect(counted).toBe(refused.length);
});

interface LeftWill {
  readonly topic: string;
  readonly delaySeconds?: number;
  /** A token or a key. */
  readonly password?: string;
}

/** Signs in with a will and stays until the node is gone. */
async function leave(username: string, { topic, ...will }: LeftWill): Promise<void> {
  const { delaySeconds = 0, password = PASSWORD } = will;
  const payload = Buffer.from('{"state":"gone"}');
  const properties = { willDelayInterval: delaySeconds };
  await connectMqtt(node.mqtt, {
    ...{ username, password, clientId: username },
    properties: { sessionExpiryInterval: 60 },
    will: { topic, payload, qos: 1, retain: true, properties },
  });
}

const status = async (id: string): Promise<number> => (await node.fetch(`/Status/${id}`)).status;
