/** The guide to `/live` does what it says: its dialogues are held, its program is run. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { connect, type SocketType } from '../../src/client/client.ts';
import { Live } from '../support/live-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const GUIDE = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8');
const blocks = [...GUIDE.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text }),
);
const textOf = (language: string): string =>
  blocks.find((block) => block.language === language)?.text ?? '';
const dialogues = blocks
  .filter(({ language }) => language === 'live')
  .map(({ text }, index) => ({ number: index + 1, lines: text.trim().split('\n') }));

/** `…` stands for anything that is there. */
const pattern = (text: string): object =>
  JSON.parse(text, (_, value: unknown) => (value === '…' ? expect.anything() : value)) as object;

function fits(heard: object, wanted: object): boolean {
  try {
    expect(heard).toMatchObject(wanted);
    return true;
  } catch {
    return false;
  }
}

describe('the guide to /live', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': textOf('graphql'), 'resources/desk.ts': textOf('ts') },
    });
  });
  afterAll(() => node.dispose());

  it('has dialogues', () => {
    expect(dialogues.length).toBeGreaterThanOrEqual(5);
  });

  it.each(dialogues)('holds dialogue $number as it is written', async ({ lines }) => {
    const live = await new Live(`${node.ws}/live`).opened();
    try {
      const left = [...lines];
      for (const line of lines) {
        const said = line.slice(2);
        if (line.startsWith('>')) live.socket.send(said);
        else await until(said, () => live.heard.some((one) => fits(one, pattern(said))));
        left.shift();
      }
      expect(left).toEqual([]);
    } finally {
      live.socket.terminate();
    }
  });

  it('runs the program of the client', async () => {
    const printed: string[] = [];
    const program = textOf('js').replace(/^import .*$/m, '');
    const run = new Function(
      ...['connect', 'address', 'WebSocket', 'print'],
      `return (async () => { ${program}; return live; })();`,
    );
    const print = (text: string) => printed.push(text);
    const type = WebSocket as unknown as SocketType;
    const live = (await run(connect, node.http, type, print)) as { close(): void };
    await until('the last of it', () => printed.at(-1) === 'AA100 B2,UA7 C9');
    live.close();
  });

  it('has its class followed, and told', async () => {
    await node.put('/Flight/D1', { gate: '1' });
    const desk = await new Live(`${node.ws}/Desk/D1`).opened();
    await desk.next((one) => one.welcome === 'D1');
    const live = await new Live(`${node.ws}/live`).opened();
    const told = await live.ask({ publish: '/Desk/D1', value: { gate: '2' } });
    expect(told).toMatchObject({ outcome: 'published' });
    await desk.next((one) => JSON.stringify(one) === '{"flight":{"id":"D1","gate":"2"}}');
    for (const one of [desk, live]) one.socket.terminate();
  });

  it('names the metrics that there are', async () => {
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    const names = [...GUIDE.matchAll(/`(millrace_\w+)`/g)].map(([, name = '']) => name);
    expect(names.filter((name) => !text.includes(name))).toEqual([]);
  });
});
