/**
 * Bodies that are too large to travel with their rows: other nodes fetch them by digest, go on
 * where a connection left off, and after a crash.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/node-process.ts';
import { patternAt } from '../support/pattern.ts';

const NAMES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NAMES)[number];
const MB = 1024 * 1024;
const OPEN = 'public: [read, insert, update, delete]';
const SCHEMA = `
type File @table @export(name: "File", ${OPEN}) { id: ID @primaryKey }
type Person @table @export(name: "Person", ${OPEN}) {
  id: ID @primaryKey
  name: String
  photo: Blob
}
`;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files: { 'schema.graphql': SCHEMA }, names: NAMES });
  await cluster.live(NAMES);
});
afterAll(() => cluster.dispose());

async function put(name: Name, target: string, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'video/mp4' };
  const response = await cluster.node(name).fetch(target, { method: 'PUT', body, headers });
  expect(response.ok).toBe(true);
}

const seen = async (name: Name, target: string): Promise<Response> =>
  cluster.node(name).fetch(target, { headers: { accept: '*/*' } });

/** Waits until a node answers exactly these bytes; never others in full. */
async function holds(name: Name, target: string, bytes: Buffer): Promise<void> {
  await until(
    `${target} on ${name}`,
    async () => {
      const response = await seen(name, target);
      const got = Buffer.from(await response.arrayBuffer());
      // It says so while its bytes are on their way.
      if (response.status === 503) expect(got.toString()).toContain('BODY_ON_ITS_WAY');
      if (response.status !== 200) return false;
      expect(got.equals(bytes)).toBe(true);
      return true;
    },
    45_000,
  );
}

const sent = (from: Name, to: Name): number => cluster.network.bytes.get(`${from} ${to}`) ?? 0;
const slow = (ms: number) => cluster.network.delay('n1', 'n2', ms);

describe('a body too large for its row', () => {
  it('R12 comes to every node, of a row and of an attribute', async () => {
    const [film, photo] = [patternAt(0, 2 * MB + 13), patternAt(7, MB + 5 * 1024)];
    await put('n1', '/File/film', film);
    await cluster.node('n1').put('/Person/ada', { name: 'Ada' });
    await put('n1', '/Person/ada.photo', photo);
    for (const name of NAMES) {
      await holds(name, '/File/film', film);
      await holds(name, '/Person/ada.photo', photo);
    }
  });

  it('is replaced, and gone, as its row is', async () => {
    const newer = patternAt(3, 2 * MB);
    await put('n2', '/File/film', newer);
    for (const name of NAMES) {
      await until('the newer one', async () => {
        const response = await seen(name, '/File/film');
        const length = (await response.arrayBuffer()).byteLength;
        return response.status === 200 && length === newer.length;
      });
    }
    await cluster.node('n3').fetch('/File/film', { method: 'DELETE' });
    for (const name of NAMES) {
      await until('its end', async () => (await seen(name, '/File/film')).status === 404);
    }
  });

  it('goes on where the connection broke, from whoever has it', async () => {
    const film = patternAt(11, 12 * MB);
    slow(20);
    const before = sent('n1', 'n2') + sent('n3', 'n2');
    await put('n1', '/File/long', film);
    await until('a part of it', () => sent('n1', 'n2') > 2 * MB, 45_000);
    cluster.network.cut('n1', 'n2');
    await holds('n3', '/File/long', film);
    await holds('n2', '/File/long', film);
    expect(sent('n1', 'n2') + sent('n3', 'n2') - before).toBeLessThan(18 * MB);
    slow(0);
    cluster.network.heal('n1', 'n2');
    await cluster.live(NAMES);
  });

  it('comes after a crash in the middle of it', async () => {
    const film = patternAt(5, 12 * MB);
    slow(20);
    cluster.network.delay('n3', 'n2', 20);
    const before = sent('n1', 'n2') + sent('n3', 'n2');
    await put('n1', '/File/crash', film);
    await until(
      'a part of it',
      () => sent('n1', 'n2') + sent('n3', 'n2') > before + 2 * MB,
      45_000,
    );
    await cluster.kill('n2');
    slow(0);
    cluster.network.delay('n3', 'n2', 0);
    await cluster.start('n2');
    await holds('n2', '/File/crash', film);
    await until('nothing to be missing', async () => {
      const missing = await cluster.node('n2').metric('millrace_replication_bodies_missing');
      return missing === 0;
    });
  });
});
