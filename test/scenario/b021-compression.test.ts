/**
 * Compressed answers on a real node: kept beside the record, tied to its tag, streamed with rows.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, until } from '../support/node-process.ts';
import { ENGINES, startItems } from '../support/scenario-apps.ts';

const NOTE = 'a note that says the same thing over and over; '.repeat(100);
const ROWS = 600;

describe.each(ENGINES)('compression over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
    const ids = Array.from({ length: ROWS }, (_, index) => index);
    await Promise.all(ids.map((id) => node.put(`/Item/row-${id}`, { tag: 'row', note: NOTE })));
  });
  afterAll(() => node.dispose());

  // The client decodes by itself; what was sent is in the fields.
  const get = async (target: string, coding: string, more: Record<string, string> = {}) => {
    const headers = { 'accept-encoding': coding, ...more };
    const response = await node.fetch(target, { headers });
    return {
      status: response.status,
      coding: response.headers.get('content-encoding'),
      etag: response.headers.get('etag') ?? '',
      bytes: Number(response.headers.get('content-length')),
      vary: response.headers.get('vary') ?? '',
      text: await response.text(),
    };
  };
  const encoded = (target: string, coding: string) =>
    until(`${target} as ${coding}`, async () => {
      const answer = await get(target, coding);
      return answer.coding === coding ? answer : undefined;
    });

  it.each(['br', 'gzip'])(
    'serves a record that is read again as %s, under a tag of its own',
    async (coding) => {
      const target = `/Item/again-${coding}`;
      await node.put(target, { note: NOTE });
      const first = await get(target, coding);
      expect([first.coding, JSON.parse(first.text).note]).toEqual([null, NOTE]);
      const answer = await encoded(target, coding);
      expect(answer.text).toBe(first.text);
      expect(answer.bytes).toBeLessThan(first.bytes / 5);
      expect(answer.vary).toContain('accept-encoding');
      expect(answer.etag).not.toBe(first.etag);
      const again = await get(target, coding, { 'if-none-match': answer.etag });
      expect([again.status, again.etag, again.text]).toEqual([304, answer.etag, '']);
      const plain = await get(target, 'identity', { 'if-none-match': answer.etag });
      expect([plain.status, plain.coding, plain.etag]).toEqual([200, null, first.etag]);
    },
  );

  it('never serves a changed record in its old form', async () => {
    for (let n = 0; n < 5; n += 1) {
      await node.put('/Item/changing', { note: NOTE, n });
      await encoded('/Item/changing', 'gzip');
      expect(JSON.parse((await get('/Item/changing', 'gzip')).text).n).toBe(n);
    }
    expect((await node.fetch('/Item/changing', { method: 'DELETE' })).status).toBe(204);
    expect((await get('/Item/changing', 'gzip')).status).toBe(404);
    await node.put('/Item/changing', { note: NOTE, n: 9 });
    expect(JSON.parse((await get('/Item/changing', 'gzip')).text).n).toBe(9);
  });

  it('lets who read a compressed record write back under its tag [RFC9110 §13.1.1]', async () => {
    await node.put('/Item/cas', { note: NOTE });
    const { etag } = await encoded('/Item/cas', 'br');
    const headers = { 'if-match': etag };
    expect((await node.put('/Item/cas', { note: NOTE, n: 1 }, headers)).status).toBe(204);
    expect((await node.put('/Item/cas', { note: NOTE, n: 2 }, headers)).status).toBe(412);
  });

  it('shows compressed forms to nobody who lists, queries or counts records', async () => {
    await node.put('/Item/listed', { tag: 'listed', note: NOTE });
    await encoded('/Item/listed', 'br');
    await encoded('/Item/listed', 'gzip');
    for (const query of ['?tag=listed', `?limit(${ROWS * 2})`]) {
      const rows = JSON.parse((await get(`/Item/${query}`, 'identity')).text) as { id: string }[];
      expect(rows.filter(({ id }) => id === 'listed')).toHaveLength(1);
    }
  });

  it('chooses by quality, and leaves alone what is small or not wanted [RFC9110 §12.5.3]', async () => {
    await node.put('/Item/choose', { note: NOTE });
    await encoded('/Item/choose', 'br');
    await encoded('/Item/choose', 'gzip');
    const codingFor = async (accept: string) => (await get('/Item/choose', accept)).coding;
    expect(await codingFor('gzip, br')).toBe('br');
    expect(await codingFor('gzip, br;q=0.5')).toBe('gzip');
    expect(await codingFor('*')).toBe('br');
    expect(await codingFor('br;q=0, gzip;q=0')).toBeNull();
    expect(await codingFor('identity, br;q=0.5')).toBeNull();
    await node.put('/Item/small', { note: 'short' });
    for (let reads = 0; reads < 5; reads += 1) {
      expect((await get('/Item/small', 'br')).coding).toBeNull();
    }
  });

  it('compresses a collection, whole or as it streams', async () => {
    for (const coding of ['br', 'gzip']) {
      const page = await get('/Item/?tag=row&limit(3)', coding);
      expect([page.coding, JSON.parse(page.text).length]).toEqual([coding, 3]);
      const stream = await get('/Item/?tag=row', coding);
      expect([stream.coding, JSON.parse(stream.text).length]).toEqual([coding, ROWS]);
    }
    const csv = await get('/Item/?tag=row', 'gzip', { accept: 'text/csv' });
    expect([csv.coding, csv.text.split('\r\n').length]).toEqual(['gzip', ROWS + 2]);
  });

  it('survives clients that leave in the middle of a compressed stream', async () => {
    for (let tries = 0; tries < 20; tries += 1) {
      const leaving = new AbortController();
      const headers = { 'accept-encoding': 'gzip' };
      const response = await node.fetch('/Item/?tag=row', { headers, signal: leaving.signal });
      leaving.abort();
      await response.text().catch(() => undefined);
    }
    const last = await get('/Item/?tag=row', 'gzip');
    expect([last.coding, JSON.parse(last.text).length]).toEqual(['gzip', ROWS]);
  });
});
