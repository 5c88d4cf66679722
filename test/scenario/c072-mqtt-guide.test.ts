/** The guide to MQTT does what it says, with the clients it names: mosquitto's. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const GUIDE = readFileSync(new URL('../../docs/mqtt.md', import.meta.url), 'utf8');
const blocks = [...GUIDE.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text }),
);
const yaml = (name: string): string =>
  blocks.find(({ text }) => text.startsWith(`# ${name}`))?.text ?? '';
/** The commands of the guide, in their order. */
const commands = (blocks.find(({ language }) => language === 'sh')?.text ?? '')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

const hasClients = spawnSync('mosquitto_pub', ['--help']).error === undefined;

describe.skipIf(!hasClients)('the guide to MQTT', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql': blocks.find(({ language }) => language === 'graphql')?.text ?? '',
        'millrace.yaml': yaml('millrace.yaml'),
        'roles.yaml': yaml('roles.yaml'),
      },
    });
  });
  afterAll(() => node.dispose());

  it('shows a record to mosquitto_sub, whether MQTT or HTTP wrote it', async () => {
    expect(commands).toHaveLength(3);
    const [subscribe = '', publish = '', put = ''] = commands.map((line) =>
      line
        .replace('http://127.0.0.1:9926', node.http)
        .replace(/^(mosquitto_\w+)/, `$1 -p ${new URL(node.mqtt).port}`),
    );
    const reader = spawn('sh', ['-c', `exec ${subscribe}`]);
    let seen = '';
    reader.stdout.on('data', (text) => {
      seen += String(text);
    });
    expect(spawnSync('sh', ['-c', publish]).status).toBe(0);
    await until('the record of MQTT', () =>
      seen.includes('Flight/AA100 {"id":"AA100","gate":"B2"}'),
    );
    expect(spawnSync('sh', ['-c', put]).status).toBe(0);
    await until('the record of HTTP', () =>
      seen.includes('Flight/AA100 {"id":"AA100","gate":"C3"}'),
    );
    reader.kill();
  });
});
