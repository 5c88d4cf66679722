/** A table fed by a real MQTT broker, which goes away and comes back; skipped without one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import mqtt from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { read } from '../support/cache-apps.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const MOSQUITTO = '/usr/sbin/mosquitto';
const isMissing = !existsSync(MOSQUITTO);

const SCHEMA = `type Sensor @table @sourcedFrom(origin: "broker", write: through)
  @cache(freshness: { default: "1h", jitter: "0%" })
  @export(public: [read, insert, update, delete, subscribe]) { id: ID @primaryKey }\n`;

describe.skipIf(isMissing)(
  `an MQTT broker${isMissing ? ' (mosquitto is not installed)' : ''}`,
  () => {
    let folder = '';
    let port = 0;
    let broker: ChildProcess;
    let client: mqtt.MqttClient;
    let node: NodeProcess | undefined;

    async function startBroker(): Promise<void> {
      broker = spawn(MOSQUITTO, ['-c', path.join(folder, 'broker.conf')], { stdio: 'ignore' });
      const user = { username: 'u', password: 'p' };
      client = await until('the broker', () =>
        mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, user).catch(() => undefined),
      );
    }
    const stopBroker = async (): Promise<void> => {
      await client.endAsync(true);
      const ended = new Promise((resolve) => broker.once('close', resolve));
      broker.kill('SIGTERM');
      await ended;
    };

    beforeEach(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'millrace-broker-'));
      port = await freePort();
      const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'user root'];
      const kept = ['persistence true', `persistence_location ${folder}/`];
      writeFileSync(path.join(folder, 'broker.conf'), [...lines, ...kept].join('\n'));
      await startBroker();
    });
    afterEach(async () => {
      await node?.dispose();
      node = undefined;
      await stopBroker();
      rmSync(folder, { recursive: true, force: true });
    });

    async function start(origin: string): Promise<NodeProcess> {
      const file = `kind: mqtt\nurl: mqtt://127.0.0.1:${port}\nallowPrivate: true\n${origin}\n`;
      node = await startNode({
        files: { 'schema.graphql': SCHEMA, 'origins/broker.yaml': file },
        flags: ['--threads', '1'],
      });
      await isFed(node, 1);
      return node;
    }
    const isFed = (one: NodeProcess, value: 0 | 1) =>
      until(`feed_connected ${value}`, async () => {
        return (await one.metric('millrace_feed_connected', { origin: 'broker' })) === value;
      });
    const say = (topic: string, payload: object | string, qos: 0 | 1 | 2 = 1, retain = false) =>
      client.publishAsync(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), {
        ...{ qos, retain },
      });
    const shows = (one: NodeProcess, id: string, text: string) =>
      until(`${id} to show ${text}`, async () =>
        (await read(one, `/Sensor/${id}`)).text.includes(text),
      );

    it.each(['3.1.1', '5'])('brings retained and new messages by MQTT %s', async (protocol) => {
      await say('sensors/s1/state', { heat: 20 }, 1, true);
      const one = await start(`topic: "sensors/{id}/state"\nqos: 2\nprotocol: "${protocol}"`);
      await shows(one, 's1', '"heat":20');
      for (const qos of [0, 1, 2] as const) {
        await say(`sensors/q${qos}/state`, { qos }, qos);
        await shows(one, `q${qos}`, `"qos":${qos}`);
      }
      await say('sensors/s1/other', { heat: 99 });
      await say('sensors/bare/state', '23.5');
      await shows(one, 'bare', '"value":23.5');
      expect((await read(one, '/Sensor/s1')).cache).toMatch(/^millrace; hit/);
      expect((await read(one, '/Sensor/s1')).text).toContain('"heat":20');
      await say('sensors/s1/state', '', 1, true);
      await until('the deletion', async () => (await read(one, '/Sensor/s1')).status === 404);
    });

    it('is told what was said while it was away, by the session of the broker', async () => {
      const one = await start(
        'topic: "sensors/{id}/state"\nclientId: edge-1\nusername: u\npassword: p',
      );
      await say('sensors/s1/state', { n: 1 });
      await shows(one, 's1', '"n":1');
      await stopBroker();
      await isFed(one, 0);
      expect((await read(one, '/Sensor/s1')).text).toContain('"n":1');
      await startBroker();
      // The broker keeps it for the session, whether or not the node is back.
      await say('sensors/s1/state', { n: 2 });
      await isFed(one, 1);
      await shows(one, 's1', '"n":2');
    });

    it('takes the id from the payload, and writes to the topic that is named for it', async () => {
      const heard: string[] = [];
      client.on('message', (topic, payload) => heard.push(`${topic} ${payload}`));
      await client.subscribeAsync('sensors/+/set', { qos: 1 });
      const one = await start(
        'topics: ["site/#"]\nfeed: { id: $.sensor, value: $.now }\npublish: "sensors/{id}/set"',
      );
      await say('site/a/b', { sensor: 'p1', now: { heat: 3 } });
      await shows(one, 'p1', '"heat":3');
      const put = await one.put('/Sensor/w1', { id: 'w1', on: true });
      expect(put.status).toBeLessThan(300);
      await until('the write', () => heard.includes('sensors/w1/set {"id":"w1","on":true}'));
      expect((await one.put('/Sensor/w%2F1', { id: 'w/1' })).status).toBe(422);
    });
  },
);
