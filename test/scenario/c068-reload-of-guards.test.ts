/**
 * A reload takes over how often clients may ask and by which keys URLs are signed: on every thread,
 * not by a dry run, and not at all when a file is wrong.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode, writeApp } from '../support/node-process.ts';

const SCHEMA = `
type Item @table @export(public: [read]) { id: ID @primaryKey }
type Film @pages(origin: "web", policy: "paid", path: "/films/*")
`;
const FIRST = { name: 'k1', secret: 'the first secret, which is long enough' };
const SECOND = { name: 'k2', secret: 'the second secret, which is long enough' };

const settings = (perSecond: number, keys: readonly object[]): string =>
  JSON.stringify({
    limits: { requestsPerAddressSecondMax: 0, requestsPerCredentialSecondMax: perSecond },
    auth: { urlKeys: keys },
  });

interface Report {
  readonly outcome: string;
  readonly changes: readonly string[];
  readonly restarts: readonly string[];
}

describe.each([
  ['uws', 2],
  ['node', 1],
] as const)('a reload of the guards of %s with %s threads', (engine, threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.answer(200, { 'cache-control': 'no-store' }, 'x'));
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
        'cache-policies/paid.yaml': 'client: { signedUrls: true }\n',
        'millrace.yaml': settings(0, [FIRST]),
      },
      flags: ['--threads', String(threads)],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    await origin?.close();
  });

  const save = (text: string) => writeApp({ 'millrace.yaml': text }, node.folder);
  const reload = (more: object = {}) =>
    node.operate({ operation: 'reload', ...more }) as unknown as Promise<Report>;
  const status = async (target: string, headers: Record<string, string> = {}) => {
    const response = await node.fetch(target, { headers: { ...headers, connection: 'close' } });
    await response.arrayBuffer();
    return response.status;
  };
  let shown = 0;
  /** What somebody is answered who asks 40 times at once; each time another. */
  const asked = async (): Promise<Set<number>> => {
    shown += 1;
    const authorization = `Bearer mrk_nobody-${shown}`;
    return new Set(
      await Promise.all(Array.from({ length: 40 }, () => status('/Item/', { authorization }))),
    );
  };
  const signed = async (key: string): Promise<string> => {
    const url = `${node.http}/films/1`;
    const answer = await node.operate({ operation: 'sign_url', url, key, expires_in: '10m' });
    return String(answer.url).slice(node.http.length);
  };

  it('limits those who ask too often from then on, and no longer when it says so', async () => {
    expect(await asked()).toEqual(new Set([401]));
    save(settings(1, [FIRST]));
    const dry = await reload({ dry_run: true });
    const change = 'limits.requestsPerCredentialSecondMax: 0 → 1';
    expect(dry).toMatchObject({ outcome: 'checked', changes: [change], restarts: [] });
    expect(await asked()).toEqual(new Set([401]));
    const report = await reload();
    expect(report).toMatchObject({ outcome: 'applied', changes: [change], restarts: [] });
    expect(await asked()).toContain(429);
    save('limits: { requestsPerCredentialSecondMax: none }\n');
    expect(await reload()).toMatchObject({ outcome: 'refused' });
    expect(await asked()).toContain(429);
    save(settings(0, [FIRST]));
    expect(await reload()).toMatchObject({ outcome: 'applied' });
    expect(await asked()).toEqual(new Set([401]));
  });

  it('takes URLs of the keys that there are, and says their names only', async () => {
    const first = await signed('k1');
    expect(await status(first)).toBe(200);
    save(settings(0, [SECOND, FIRST]));
    const added = await reload();
    expect(added).toMatchObject({
      outcome: 'applied',
      changes: ['auth.urlKeys: k2 is new', 'auth.urlKeys: k2 signs from now on'],
      restarts: [],
    });
    const second = await signed('k2');
    expect([await status(first), await status(second)]).toEqual([200, 200]);
    save(settings(0, [SECOND]));
    const removed = await reload();
    expect(removed).toMatchObject({ changes: ['auth.urlKeys: k1 is gone'], restarts: [] });
    expect(JSON.stringify([added, removed])).not.toContain('secret');
    for (let times = 0; times < 4; times += 1) {
      expect([await status(first), await status(second)]).toEqual([403, 200]);
    }
  });

  it('still says which limits need a restart', async () => {
    save(JSON.stringify({ limits: { urlBytesMax: 4096 }, auth: { urlKeys: [SECOND] } }));
    const report = await reload({ dry_run: true });
    expect(report.restarts).toEqual(['millrace.yaml: limits.urlBytesMax']);
  });
});
