/**
 * What one user may hold is counted over all threads and protocols together: WebSockets that land
 * on either thread, and sessions of MQTT.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Live } from '../support/live-client.ts';
import { connectMqtt } from '../support/mqtt-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const MOST = 6;
const SOCKETS = 12;
const USER = { username: 'bob', password: 'a long enough secret' };

describe('subscriptions of one user on two threads', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql': 'type Item @table @export { id: ID @primaryKey }\n',
        'roles.yaml': 'reader: { tables: { Item: { read: true, subscribe: true } } }\n',
        'millrace.yaml': `limits: { subscriptionsPerPrincipalMax: ${MOST} }\n`,
      },
      flags: ['--threads', '2'],
    });
    await node.operate({ operation: 'add_user', ...USER, role: 'reader' });
  });
  afterAll(() => node.dispose());

  const credentials = Buffer.from(`${USER.username}:${USER.password}`).toString('base64');
  const authorization = `Basic ${credentials}`;
  const follow = async (name: string): Promise<readonly [Live, string]> => {
    const live = await new Live(`${node.ws}/live`, { authorization }).opened();
    live.say({ subscribe: `/Item/${name}`, as: name });
    const { type, code } = await live.next(({ sub }) => sub === name);
    return [live, String(type === 'error' ? code : 'followed')];
  };

  it('are counted together, and given back when they end', async () => {
    const mqtt = await connectMqtt(node.mqtt, USER);
    await mqtt.client.subscribeAsync('Item/m');
    const opened: (readonly [Live, string])[] = [];
    for (let at = 0; at < SOCKETS; at += 1) opened.push(await follow(`s${at}`));
    const told = opened.map(([, word]) => word);
    expect(told.filter((word) => word === 'followed')).toHaveLength(MOST - 1);
    expect(new Set(told)).toEqual(new Set(['followed', 'SUBSCRIPTION_LIMIT']));
    const full = mqtt.client.subscribeAsync('Item/n');
    await expect(full).rejects.toThrow();
    for (const [live] of opened) live.socket.terminate();
    await until('room for another', async () => {
      const [live, word] = await follow('again');
      live.socket.terminate();
      return word === 'followed';
    });
    await until('room for MQTT', () =>
      mqtt.client.subscribeAsync('Item/n').then(
        () => true,
        () => false,
      ),
    );
    await mqtt.close();
  });
});
