/**
 * A clock that is wrong: what it stamps ahead is not taken by others, its own writes are refused
 * while most of the others say so, and afterwards all is as it should be. Steps do not enter.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { until } from '../support/node-process.ts';

const SHIFTED = fileURLToPath(new URL('../support/shifted-clock.mjs', import.meta.url));
const HOUR_MS = 3_600_000;

let cluster: Cluster;
let folder: string;
afterEach(async () => {
  await cluster.dispose();
  rmSync(folder, { recursive: true });
});

/** Two nodes with the right time, and `n3`, whose clock the test sets. */
async function started(offsetMs: number): Promise<(offsetMs: number) => void> {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-clock-'));
  const file = path.join(folder, 'offset');
  const set = (ms: number) => writeFileSync(file, String(ms));
  set(offsetMs);
  cluster = await Cluster.start({ files: CLUSTER_APP, names: ['n1', 'n2'] });
  await cluster.start('n3', { env: shifted() });
  return set;
}

const shifted = () => ({
  NODE_OPTIONS: `--import ${SHIFTED}`,
  MILLRACE_TEST_CLOCK_FILE: path.join(folder, 'offset'),
});

const nameAt = async (node: string, id: string): Promise<string | undefined> => {
  const response = await cluster.node(node).fetch(`/Item/${id}`);
  return response.ok ? ((await response.json()) as { name: string }).name : undefined;
};

describe('a node whose clock', () => {
  it('is an hour ahead refuses writes, and what it had stamped poisons nothing', async () => {
    const set = await started(HOUR_MS);
    const refusal = await until('the refusal', async () => {
      const response = await cluster.node('n3').put('/Item/ahead', { name: 'ahead' });
      return response.status === 503 && response;
    });
    expect(((await refusal.json()) as { code: string }).code).toBe('CLOCK_AHEAD');
    await cluster.node('n1').put('/Item/ahead', { name: 'right' });
    await until('the right one', async () => (await nameAt('n2', 'ahead')) === 'right');
    // The steady clock begins anew with the process, and what was stamped ahead is stamped then.
    set(0);
    await cluster.node('n3').stop();
    await cluster.start('n3');
    await cluster.converged('Item', 30_000);
    await cluster.node('n1').put('/Item/ahead', { name: 'the last word' });
    await until('it', async () => (await nameAt('n3', 'ahead')) === 'the last word');
  }, 90_000);

  it('is put right loses nothing that was patched or added meanwhile', async () => {
    const set = await started(0);
    const patch = (node: string, document: object) =>
      cluster.node(node).fetch('/Item/p', {
        method: 'PATCH',
        body: JSON.stringify(document),
        headers: { 'content-type': 'application/json' },
      });
    const add = { count: { __op__: 'add', value: 1 } };
    await cluster.node('n1').put('/Item/p', { name: 'p', count: 0 });
    await cluster.converged('Item');
    await cluster.node('n3').stop();
    set(HOUR_MS);
    await cluster.start('n3', { env: shifted() });
    // Until it hears that its clock is wrong it takes writes, and must keep what it answered.
    const ahead = await patch('n3', { ...add, three: 3 });
    let added = ahead.ok ? 1 : 0;
    for (let n = 0; n < 5; n += 1) added += (await patch('n1', { ...add, one: 1 })).ok ? 1 : 0;
    set(0);
    await cluster.node('n3').stop();
    await cluster.start('n3', { env: shifted() });
    const count = await until('all additions', async () => {
      const [row] = (await cluster.converged('Item')).rows as { count: number; one: number }[];
      return row?.count === added && row;
    });
    expect(count).toMatchObject({ name: 'p', one: 1, ...(ahead.ok && { three: 3 }) });
  }, 90_000);

  it('is an hour behind goes on, and its later word wins', async () => {
    await started(-HOUR_MS);
    await cluster.node('n1').put('/Item/a', { name: 'first' });
    await until('the first', async () => (await nameAt('n3', 'a')) === 'first');
    expect((await cluster.node('n3').put('/Item/a', { name: 'second' })).ok).toBe(true);
    await until('the second', async () => (await nameAt('n1', 'a')) === 'second');
  }, 60_000);

  it('steps to and fro while it runs is as steady as the others', async () => {
    const set = await started(0);
    for (let step = 0; step < 6; step += 1) {
      set(step % 2 === 0 ? 5 * 60_000 : -5 * 60_000);
      await cluster.node('n3').put('/Item/s', { name: `n3 ${step}` });
      await until('it', async () => (await nameAt('n1', 's')) === `n3 ${step}`);
      await cluster.node('n1').put('/Item/s', { name: `n1 ${step}` });
      await until('the answer', async () => (await nameAt('n3', 's')) === `n1 ${step}`);
    }
  }, 60_000);
});
