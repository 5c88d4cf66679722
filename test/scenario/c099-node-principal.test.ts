/**
 * A node of a cluster is a principal of its own: what proves one to its peers opens no other door,
 * and no other credentials, the administrator's included, open the replication port.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const TOKEN = 'a-token-that-is-long-enough-for-a-cluster';
const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const OTHERS = [
  basic(ADMIN.username, ADMIN.password),
  basic('n1', TOKEN),
  `Bearer ${TOKEN}`,
  'Millrace name="n2", nonce="AAAAAAAAAAAAAAAAAAAAAA", own="AAAAAAAAAAAAAAAAAAAAAA", proof="x"',
];

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({
    files: { 'schema.graphql': 'type Story @table @export { id: ID @primaryKey }' },
    flags: ['--node-name', 'n1', '--cluster-token', TOKEN, '--replication-port', '0'],
  });
});
afterAll(() => node?.dispose());

/** The status line and fields of the answer to an upgrade on the replication port. */
async function dial(authorization: string): Promise<string> {
  const url = new URL(node.replication.replace(/^ws/, 'http'));
  let text = '';
  let isOver = false;
  const socket = connect(Number(url.port), url.hostname);
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  for (const event of ['error', 'close']) {
    socket.on(event, () => {
      isOver = true;
    });
  }
  socket.write(
    'GET /replication HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      `sec-websocket-protocol: millrace-replication.1\r\nauthorization: ${authorization}\r\n\r\n`,
  );
  await until('an answer', () => isOver || text.includes('\r\n\r\n'));
  socket.destroy();
  return text;
}

it('is let in by nothing but the proof of the cluster', async () => {
  for (const authorization of OTHERS) {
    const answer = await dial(authorization);
    expect([authorization, answer.slice(0, 12)]).toEqual([authorization, 'HTTP/1.1 401']);
    expect(answer).toMatch(/www-authenticate: Millrace /i);
  }
});

it('is nobody at the other ports', async () => {
  for (const authorization of OTHERS.slice(1)) {
    const headers = { authorization };
    for (const target of ['/Story/', '/Story', '/live']) {
      const response = await node.fetch(target, { headers });
      await response.arrayBuffer();
      expect([authorization, target, response.status]).not.toEqual([authorization, target, 200]);
    }
    const operation = { operation: 'cluster_status' };
    const response = await fetch(`${node.admin}/`, {
      ...{ method: 'POST', headers: { ...headers, 'content-type': 'application/json' } },
      body: JSON.stringify(operation),
    });
    await response.arrayBuffer();
    expect([authorization, response.status]).toEqual([authorization, 401]);
  }
});
