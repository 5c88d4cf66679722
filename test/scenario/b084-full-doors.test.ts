/**
 * Limits of all clients together, and a rate that leaves nothing over: each is reached, counted by
 * its name, and there is room again once those who took it have left.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { MqttPackets } from '../support/mqtt-packets.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

const SCHEMA = 'type Item @table @export(public: [read, subscribe]) { id: ID @primaryKey }';
const lasting = {
  websocket: {
    line: 'GET /live',
    fields: [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ],
  },
  sse: { line: 'GET /Item/', fields: ['Accept: text/event-stream'] },
} as const;

/** Connections that stay, each asked for something, until one is refused. */
async function crowded(base: string, protocol: keyof typeof lasting, from?: string) {
  const { line, fields } = lasting[protocol];
  const connections = Array.from({ length: 20 }, () => new RawConnection(base, from));
  for (const one of connections) one.send(`${headOf(line, fields)}\r\n`);
  const isRefused = (one: RawConnection) => one.ended || (one.statuses[0] ?? 0) >= 400;
  await until('one to be refused', () => connections.some(isRefused));
  for (const one of connections) one.destroy();
}

describe.each(['uws', 'node'] as const)('doors that are full on the %s engine', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const limits = {
      ...{ connectionsMax: 6, adminConnectionsMax: 6, mqttConnectionsMax: 3 },
      ...{ connectionsPerAddressSecondMax: 1, rateBurstSeconds: 1 },
    };
    const settings = JSON.stringify({ limits, mqtt: { requireAuthentication: false } });
    const files = { 'schema.graphql': SCHEMA, 'millrace.yaml': settings };
    node = await startNode({ files, env: { MILLRACE_HTTP_ENGINE: engine } });
  });
  afterAll(() => node?.dispose());

  const counted = (limit: string) => node.metric('millrace_limits_hit_total', { limit });

  it.each(['websocket', 'sse'] as const)('connectionsMax: $0', async (protocol) => {
    const before = await counted('connectionsMax');
    await until('it to be counted', async () => {
      await crowded(node.http, protocol);
      return (await counted('connectionsMax')) > before;
    });
    await until('room again', () =>
      node.fetch('/Item/').then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });

  it('connectionsPerAddressSecondMax of an address', async () => {
    // The places of those before may still be taken, and be what refuses.
    await until('it to be counted', async () => {
      await crowded(node.http, 'websocket', '127.0.0.9');
      return (await counted('connectionsPerAddressSecondMax')) > 0;
    });
  });

  it('mqttConnectionsMax', async () => {
    const peers = Array.from({ length: 8 }, () => new MqttPackets(node.mqtt));
    await Promise.all(peers.map((peer) => peer.connect()));
    await until('one to be cut', () => peers.some((peer) => peer.ended));
    for (const peer of peers) peer.destroy();
    await until('it to be counted', () => counted('mqttConnectionsMax'));
  });

  it('adminConnectionsMax', async () => {
    const connections = Array.from({ length: 20 }, () => new RawConnection(node.admin));
    // uWS 20.30 hides connections which have nothing under way: they take nobody's place.
    if (engine === 'node') {
      await until('one to be refused', () => connections.some((one) => one.ended));
      for (const one of connections) one.destroy();
    }
    await until('an operator to be let in', () =>
      node.operate({ operation: 'list_users' }).then(
        () => true,
        () => false,
      ),
    );
    for (const one of connections) one.destroy();
  });
});
