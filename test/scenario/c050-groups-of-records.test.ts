/** Who builds pages of records is told the groups which a change of those records invalidates. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRecordGroup, recordGroup } from '../../src/table/record-groups.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { JSON_BODY } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const schema = `
type Note @table ${OPEN} { id: ID @primaryKey, kind: String @indexed, text: String }
type Kept @table ${OPEN} { id: ID @primaryKey }
type Named @table ${OPEN} @cache(groups: { tables: true }) { id: ID @primaryKey, text: String }
`;

describe('groups of records', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': schema } });
  });
  afterAll(() => node.dispose());

  const put = (target: string, record: object) =>
    node.fetch(target, { method: 'PUT', headers: JSON_BODY, body: JSON.stringify(record) });
  const asking = { 'millrace-groups': '1' };
  const groupOf = (response: Response): string =>
    JSON.parse(response.headers.get('cache-groups') ?? '""') as string;

  it('are told to who asks for them, with the version that was read [RFC9875 §2]', async () => {
    await put('/Note/a;v=1', { text: 'one' });
    const target = `/Note/${encodeURIComponent('a;v=1')}`;
    const silent = await node.fetch(target);
    const first = groupOf(await node.fetch(target, { headers: asking }));
    await put('/Note/a;v=1', { text: 'two' });
    const second = groupOf(await node.fetch(target, { headers: asking }));
    expect(silent.headers.has('cache-groups')).toBe(false);
    const [older, newer] = [parseRecordGroup(first), parseRecordGroup(second)];
    expect(older).toMatchObject({ table: 'Note', id: 'a;v=1' });
    expect(newer).toMatchObject({ table: 'Note', id: 'a;v=1' });
    expect(Number(newer?.version)).toBeGreaterThan(Number(older?.version));
  });

  it('are told with a 304 as well', async () => {
    await put('/Note/b', { text: 'x' });
    const whole = await node.fetch('/Note/b', { headers: asking });
    const headers = { ...asking, 'if-none-match': whole.headers.get('etag') ?? '' };
    const unchanged = await node.fetch('/Note/b', { headers });
    expect(unchanged.status).toBe(304);
    expect(groupOf(unchanged)).toBe(groupOf(whole));
  });

  it('name a record that is not there, at no version', async () => {
    const missing = await node.fetch('/Note/missing', { headers: asking });
    expect([missing.status, groupOf(missing)]).toEqual([404, 'Note/missing;v=0']);
  });

  it('name the table for a query, older than any change which it may have missed', async () => {
    const answer = await node.fetch('/Note/?kind=x', { headers: asking });
    const group = parseRecordGroup(groupOf(answer));
    await put('/Note/c', { kind: 'x' });
    const later = await node.fetch('/Note/c', { headers: asking });
    expect(group).toMatchObject({ table: 'Note', id: undefined });
    expect(Number(group?.version)).toBeLessThan(Number(parseRecordGroup(groupOf(later))?.version));
  });

  it('are told to everybody where the policy says so', async () => {
    await put('/Named/a', { text: 'x' });
    const answer = await node.fetch('/Named/a');
    expect(groupOf(answer)).toContain(recordGroup('Named', 'a'));
  });

  describe('on a write', () => {
    const derive = async (target: string, from: string, asBytes = false) => {
      const read = await node.fetch(from, { headers: asking });
      await read.text();
      return node.fetch(target, {
        method: 'PUT',
        headers: {
          'content-type': asBytes ? 'text/html' : 'application/json',
          'cache-groups': read.headers.get('cache-groups') ?? '',
        },
        body: asBytes ? '<p>' : '{"text":"derived"}',
      });
    };
    const statusOf = async (target: string) => (await node.fetch(target)).status;

    it.each([
      ['a record', 'Named/made', false],
      ['bytes', 'Kept/made', true],
    ])(
      'say what %s was made from: it is gone with the next change of it',
      async (_, to, asBytes) => {
        await put('/Note/source', { text: `for ${to}` });
        await put('/Note/another', { text: 'x' });
        expect((await derive(`/${to}`, '/Note/source', asBytes)).status).toBe(201);
        await put('/Note/another', { text: 'y' });
        expect(await statusOf(`/${to}`)).toBe(200);
        await put('/Note/source', { text: `changed for ${to}` });
        expect(await statusOf(`/${to}`)).toBe(404);
        expect(await (await node.fetch(`/${to.split('/')[0]}/`)).text()).not.toContain('made');
        await derive(`/${to}`, '/Note/source', asBytes);
        expect(await statusOf(`/${to}`)).toBe(200);
      },
    );

    it('say so of a query too', async () => {
      await put('/Note/one', { kind: 'listed' });
      await derive('/Named/list', '/Note/?kind=listed');
      expect(await statusOf('/Named/list')).toBe(200);
      await put('/Note/two', { kind: 'listed' });
      expect(await statusOf('/Named/list')).toBe(404);
    });

    it('are compared with the records as they are: what comes too late is not served', async () => {
      await put('/Note/quick', { text: 'old' });
      const read = await node.fetch('/Note/quick', { headers: asking });
      const groups = read.headers.get('cache-groups') ?? '';
      await put('/Note/quick', { text: 'new' });
      const headers = { ...JSON_BODY, 'cache-groups': groups };
      await node.fetch('/Named/late', { method: 'PUT', headers, body: '{}' });
      expect(await statusOf('/Named/late')).toBe(404);
    });

    it('are refused when there are too many', async () => {
      const groups = Array.from({ length: 257 }, (_, index) => `"Note/${index}"`).join(', ');
      const headers = { ...JSON_BODY, 'cache-groups': groups };
      const answer = await node.fetch('/Named/many', { method: 'PUT', headers, body: '{}' });
      expect(answer.status).toBe(400);
    });
  });
});
