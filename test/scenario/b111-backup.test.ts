/**
 * Backup and restore as an operator does them: of a node that is written to, into another folder,
 * with every write that was acknowledged before, as a new epoch, and with clear words where it
 * cannot be done.
 */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stream } from '../support/event-stream.ts';
import {
  ADMIN,
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  until,
  writeApp,
} from '../support/node-process.ts';
import { WireClient } from '../support/wire-client.ts';

const FILES: AppFiles = {
  'schema.graphql': `
type Item @table @export(public: [read, insert, update, subscribe]) { id: ID @primaryKey, n: Int }
type File @table @export(public: [read, insert, update]) { id: ID @primaryKey, body: Blob }
`,
};
const TIME = { timeout: 60_000 };
const WRITERS = 8;
const BODY = 'every byte of it '.repeat(300_000);

interface Report {
  readonly folder: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly files: number;
}

describe.each([1, 2])('a node of %d threads', (threads) => {
  const top = mkdtempSync(path.join(tmpdir(), 'millrace-backups-'));
  const monday = path.join(top, 'monday');
  const start = (folder?: string): Promise<NodeProcess> =>
    startNode({ files: FILES, flags: ['--threads', String(threads)], ...(folder && { folder }) });
  const asAdmin = (node: NodeProcess) => ['--url', node.admin, '--json'];
  const env = {
    MILLRACE_ADMIN_USERNAME: ADMIN.username,
    MILLRACE_ADMIN_PASSWORD: ADMIN.password,
  };
  let node: NodeProcess;

  beforeAll(async () => {
    node = await start();
  });
  afterAll(async () => {
    await node.dispose();
    rmSync(top, { recursive: true, force: true });
  });

  it('is backed up under writes, and restored with all that was there', TIME, async () => {
    const put = await node.fetch('/File/1', {
      method: 'PUT',
      body: BODY,
      headers: { 'content-type': 'text/plain' },
    });
    expect(put.status).toBeLessThan(300);
    await node.put('/Item/first', { n: 0 });
    const [before = ''] = await stream(node, '/Item/first', undefined, (all) => all.length >= 1);
    const position = /^id: (.+)$/m.exec(before)?.[1] ?? '';
    const written = Array.from({ length: WRITERS }, () => 0);
    let isWriting = true;
    const clients = written.map(() => new WireClient(node.http));
    const writing = clients.map(async (client, writer) => {
      while (isWriting) {
        const n = (written[writer] ?? 0) + 1;
        expect((await client.put(`/Item/w${writer}-${n}`, { n })).status).toBeLessThan(300);
        written[writer] = n;
      }
    });
    await until('writes by all', () => written.every((n) => n > 20));
    const acknowledged = [...written];
    const backedUp = await runCommand(['backup', monday, ...asAdmin(node)], { env });
    expect([backedUp.code, backedUp.stderr]).toEqual([0, '']);
    const report = JSON.parse(backedUp.stdout) as Report;
    await until('writes after it', () => written.every((n, at) => n > (acknowledged[at] ?? 0)));
    isWriting = false;
    await Promise.all(writing);
    for (const client of clients) client.close();

    const elsewhere = writeApp(FILES);
    const data = path.join(elsewhere, 'data');
    const restored = await runCommand(['restore', monday, elsewhere, '--data', data]);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    const second = await start(elsewhere);
    try {
      const rows = (await (await second.fetch('/Item/?limit(10000)')).json()) as readonly {
        id: string;
      }[];
      const ids = new Set(rows.map(({ id }) => id));
      for (const [writer, count] of acknowledged.entries()) {
        // All that was acknowledged before, and no gap in what came after it.
        const n = rows.filter(({ id }) => id.startsWith(`w${writer}-`)).length;
        expect(n).toBeGreaterThanOrEqual(count);
        expect(ids.has(`w${writer}-${n}`)).toBe(true);
      }
      expect(await (await second.fetch('/File/1')).text()).toBe(BODY);
      const resumed = await stream(second, '/Item/first', position, (all) => all.length >= 2);
      expect(resumed[0]).toMatch(/^event: reset$/m);
      const epoch = /^id: (\w+)\./m.exec(resumed[1] ?? '')?.[1];
      expect([epoch, position.split('.')[0]]).toEqual([expect.any(String), `${report.epoch}`]);
      expect(epoch).not.toBe(`${report.epoch}`);
    } finally {
      await second.dispose();
    }
  });

  it.runIf(threads === 1)(
    'keeps what is there: neither backups nor stores are written over',
    async () => {
      const again = await runCommand(['backup', monday, ...asAdmin(node)], { env });
      expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('not empty')]);
      const live = path.join(node.folder, 'data');
      const onto = await runCommand(['restore', monday, node.folder, '--data', live]);
      expect([onto.code, onto.stdout]).toEqual([1, '']);
      expect(onto.stderr).toContain('another process');
      const asked = JSON.stringify({ operation: 'backup', folder: `${top}/x` });
      const headers = { 'content-type': 'application/json' };
      const stranger = await fetch(node.admin, { method: 'POST', headers, body: asked });
      expect([stranger.status, existsSync(`${top}/x`)]).toEqual([401, false]);
      await expect(node.operate({ operation: 'backup', folder: 'tuesday' })).rejects.toThrow('400');
    },
  );

  it.runIf(threads === 1)(
    'is not restored from what is damaged, which a check tells before',
    async () => {
      const [file = ''] = readdirSync(path.join(monday, 'bodies'), { recursive: true })
        .map((name) => path.join(monday, 'bodies', String(name)))
        .filter((name) => readdirOf(name) === undefined);
      const checked = await runCommand(['restore', monday, '--check']);
      expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining('checked')]);
      appendFileSync(file, 'x');
      const wrong = await runCommand(['restore', monday, '--check']);
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining(path.basename(file))]);
      const data = path.join(top, 'new-data');
      const restored = await runCommand(['restore', monday, node.folder, '--data', data]);
      expect(restored.code).toBe(1);
      expect(readdirSync(data).filter((name) => name !== 'LOCK')).toEqual([]);
      const none = await runCommand(['restore', top, node.folder, '--data', data]);
      expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('BACKUP.json')]);
    },
  );
});

function readdirOf(name: string): readonly string[] | undefined {
  try {
    return readdirSync(name);
  } catch {
    return undefined;
  }
}
