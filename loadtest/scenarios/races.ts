/**
 * Races on one record: 64 clients with 1,000 increments each, and 64 clients who each replace the
 * version they have read (`If-Match`), with one and with two threads. What is asked is whether
 * anything is lost; how fast it is stands beside it.
 *
 * Estimate: 64 increments go into one commit, as 64 durable writes do: 10,000 a second. Of 64
 * who replace one version one wins, so a version takes as long as 64 requests.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { RawClient } from '../harness/raw-client.ts';
import type { Server } from '../harness/server.ts';
import { startMillrace } from '../peers/millrace.ts';

const CLIENTS = 64;
const INCREMENTS = 1_000;
const VERSIONS = 200;
const ADD = '{"n":{"__op__":"add","value":1}}';
const JSON_TYPE = 'content-type: application/json\r\n';

/** Runs `work` with a connection for each client; resolves with the seconds it took. */
async function together(url: string, work: (client: RawClient) => Promise<void>): Promise<number> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(url)));
  const began = performance.now();
  await Promise.all(clients.map(work));
  for (const client of clients) client.close();
  return (performance.now() - began) / 1000;
}

async function begin(node: Server, id: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  await fetch(`${node.url}/Count/${id}`, { method: 'PUT', body: '{"n":0}', headers });
}

async function increments(node: Server, id: string): Promise<{ n: number; seconds: number }> {
  await begin(node, id);
  const seconds = await together(node.url, async (client) => {
    for (let at = 0; at < INCREMENTS; at += 1) {
      const { status, head } = await client.request('PATCH', `/Count/${id}`, JSON_TYPE, ADD);
      if (status !== 204) throw new Error(head);
    }
  });
  const { n } = (await (await fetch(`${node.url}/Count/${id}`)).json()) as { n: number };
  return { n, seconds };
}

/** Each client replaces the version it read until there are enough; the winners of each version. */
async function replacements(node: Server, id: string) {
  await begin(node, id);
  const winners = new Map<number, number>();
  let seen = 0;
  const seconds = await together(node.url, async (client) => {
    while (seen < VERSIONS) {
      const read = await client.request('GET', `/Count/${id}`);
      const tag = /\r\netag: ([^\r]*)/i.exec(read.head)?.[1] ?? '';
      const { n } = JSON.parse(read.body.toString()) as { n: number };
      seen = Math.max(seen, n);
      const headers = `${JSON_TYPE}if-match: ${tag}\r\n`;
      const body = JSON.stringify({ n: n + 1 });
      const { status, head } = await client.request('PUT', `/Count/${id}`, headers, body);
      if (status === 204) winners.set(n, (winners.get(n) ?? 0) + 1);
      else if (status !== 412) throw new Error(head);
    }
  });
  const { n } = (await (await fetch(`${node.url}/Count/${id}`)).json()) as { n: number };
  const isOneEach = winners.size === n && [...winners.values()].every((count) => count === 1);
  return { n, isOneEach, seconds };
}

async function run(bench: Bench) {
  const table = [['threads', 'increments kept', 'increments/s', 'versions', 'one winner each']];
  let lost = 0;
  let isOneEach = true;
  for (const threads of [1, 2]) {
    const data = `${bench.folder.data}-increments-${threads}`;
    const node = await startMillrace({ app: bench.folder.app, data }, { threads });
    const added = await increments(node, 'added');
    const replaced = await replacements(node, 'replaced');
    await node.stop();
    lost += CLIENTS * INCREMENTS - added.n;
    isOneEach &&= replaced.isOneEach;
    table.push([
      String(threads),
      `${added.n} of ${CLIENTS * INCREMENTS}`,
      String(Math.round(added.n / added.seconds)),
      String(replaced.n),
      replaced.isOneEach ? 'yes' : 'no',
    ]);
  }
  return {
    title: 'Races: 64 clients on one record',
    estimate: 'nothing lost, one winner a version; about 10,000 increments a second.',
    table,
    verdicts: [
      { target: '64 x 1,000 increments: none lost', result: `${lost} lost`, met: lost === 0 },
      {
        target: 'If-Match: exactly one winner a version',
        result: isOneEach ? 'one' : 'more or none',
        met: isOneEach,
      },
    ],
  };
}

export const races: Scenario = { name: 'races', run };
