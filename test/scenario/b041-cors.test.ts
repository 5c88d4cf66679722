/** Pages of other origins reading a real node: preflights, permissions, what caches must know. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, runCommand, startNode, writeApp } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const SCHEMA = 'type Open @table @export(public: [read, insert, update]) { id: ID @primaryKey }';
const PAGE = 'https://app.example.com';

describe.each(ENGINES)('cross-origin reading over %s [Fetch §3.2]', (engine) => {
  let node: NodeProcess;
  let plain: NodeProcess;
  beforeAll(async () => {
    const env = { MILLRACE_HTTP_ENGINE: engine };
    const yaml = `http: { cors: { origins: [${PAGE}], credentials: true, maxAge: 1h } }\n`;
    const files = { 'schema.graphql': SCHEMA };
    node = await startNode({ files: { ...files, 'millrace.yaml': yaml }, env });
    plain = await startNode({ files, env });
    await node.put('/Open/a', {});
    await plain.put('/Open/a', {});
  });
  afterAll(() => Promise.all([node.dispose(), plain.dispose()]));

  const preflight = (target: NodeProcess, origin: string): Promise<Response> =>
    target.fetch('/Open/a', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT' },
    });
  const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

  it('grants a preflight of a named origin what the configuration says', async () => {
    const response = await preflight(node, PAGE);
    expect([response.status, allowed(response)]).toEqual([204, PAGE]);
    expect(response.headers.get('access-control-allow-methods')).toContain('PUT');
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(response.headers.get('access-control-max-age')).toBe('3600');
    expect(response.headers.get('vary')).toContain('origin');
  });

  it('grants another origin nothing, and says where it would be named', async () => {
    const refused = await preflight(node, 'https://evil.example.com');
    expect([refused.status, allowed(refused)]).toEqual([403, null]);
    expect(refused.headers.get('vary')).toContain('origin');
    expect(await refused.json()).toMatchObject({
      code: 'ACCESS_DENIED',
      detail: expect.stringContaining('http.cors.origins'),
    });
    const read = await node.fetch('/Open/a', { headers: { origin: 'https://evil.example.com' } });
    expect([read.status, allowed(read)]).toEqual([200, null]);
  });

  it('lets a page read answers and problems, and varies by origin for all', async () => {
    for (const [target, status] of [
      ['/Open/a', 200],
      ['/Open/', 200],
      ['/Open/none', 404],
      ['/nowhere', 404],
    ] as const) {
      const response = await node.fetch(target, { headers: { origin: PAGE } });
      expect([target, response.status, allowed(response)]).toEqual([target, status, PAGE]);
      expect(response.headers.get('access-control-allow-credentials')).toBe('true');
      expect(response.headers.get('access-control-expose-headers')).toContain('etag');
      expect(response.headers.get('vary')).toContain('origin');
    }
    const direct = await node.fetch('/Open/a');
    expect([allowed(direct), direct.headers.get('vary')]).toEqual([
      null,
      expect.stringContaining('origin'),
    ]);
  });

  it('is off without configuration', async () => {
    expect(allowed(await preflight(plain, PAGE))).toBeNull();
    const read = await plain.fetch('/Open/a', { headers: { origin: PAGE } });
    expect(allowed(read)).toBeNull();
    expect(read.headers.get('vary')).not.toContain('origin');
  });
});

describe('check', () => {
  it('refuses credentials for every origin', async () => {
    const yaml = "http: { cors: { origins: ['*'], credentials: true } }\n";
    const folder = writeApp({ 'millrace.yaml': yaml });
    const { code, stderr } = await runCommand(['check', folder]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('http.cors.credentials')]);
  });
});
