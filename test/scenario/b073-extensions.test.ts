/** Packages whose origin kinds, cache policies and resources an application uses as its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { json } from '../support/scenario-apps.ts';

const PACKAGE: AppFiles = {
  'node_modules/@acme/edge/package.json':
    '{ "name": "@acme/edge", "type": "module", "millrace": { "folder": "dist" } }',
  'node_modules/@acme/edge/dist/origins/counting.js': `
    import { defineOriginKind } from 'millrace';
    import { step } from '../lib/step.js';
    export const kind = defineOriginKind({
      name: 'counting',
      open(settings, services) {
        if (settings.options.from === undefined) throw new Error('counting needs options.from');
        let n = settings.options.from;
        return { get: (id) => ({ n: (n += step), by: services.name, url: settings.url ?? null }) };
      },
    });`,
  'node_modules/@acme/edge/dist/lib/step.js': 'export const step = 10;',
  'node_modules/@acme/edge/dist/cache-policies/acme-long.yaml': 'freshness: { default: 5000s }\n',
  'node_modules/@acme/edge/dist/resources/status.js': `
    import { Resource, tables } from 'millrace';
    export class AcmeStatus extends Resource {
      static public = ['read'];
      static async get() { return { n: (await tables.Counted.get('x')).n }; }
    }`,
};
const APP: AppFiles = {
  ...PACKAGE,
  'millrace.yaml': 'extensions: ["@acme/edge", ./own]\nlimits: { writeQueueAgeMsMax: 60s }\n',
  'own/cache-policies/brief.yaml': 'freshness: { default: 7s }\n',
  'schema.graphql': `
    type Counted @table @export(public: [read]) @sourcedFrom(origin: "count")
      @cache(policy: "acme-long") { id: ID @primaryKey, n: Int }
    type Brief @table @export(public: [read]) @sourcedFrom(origin: "count")
      @cache(policy: "brief") { id: ID @primaryKey, n: Int }`,
  'origins/count.yaml': 'kind: counting\nurl: https://example.com\noptions: { from: 5 }\n',
  'resources/mine.js': `export class Mine extends Resource {
    static public = ['read'];
    static get() { return 'mine'; }
  }`,
};

describe('an extension', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: APP });
  });
  afterAll(() => node?.dispose());

  it('brings origin kinds, policies and resources', async () => {
    const counted = await node.fetch('/Counted/x');
    const url = 'https://example.com';
    expect(await json(counted)).toEqual({ id: 'x', n: 15, by: 'count', url });
    expect(counted.headers.get('cache-status')).toMatch(/ttl=(4\d{3}|5000)/);
    expect((await node.fetch('/Brief/y')).headers.get('cache-status')).toMatch(/ttl=[5-7]\b/);
    expect(await json(await node.fetch('/AcmeStatus'))).toEqual({ n: 15 });
    expect(await json(await node.fetch('/Mine'))).toBe('mine');
  });
});

describe('an extension that cannot be used', () => {
  const check = async (files: AppFiles) => {
    const folder = writeApp({ ...APP, ...files });
    const { code, stderr } = await runCommand(['check', folder], { env: { NO_COLOR: '1' } });
    expect(code, stderr).toBe(2);
    return stderr;
  };

  it('is named with the line, what is wrong with it and the cure', async () => {
    const missing = await check({ 'millrace.yaml': 'threads: 1\nextensions:\n  - not-there\n' });
    expect(missing).toContain('millrace.yaml:3');
    expect(missing).toContain('the extension not-there is not there');
    expect(missing).toContain('npm install not-there');
    const empty = await check({
      'millrace.yaml': 'extensions: ["@acme/edge", ./own, empty]\n',
      'node_modules/empty/package.json': '{}',
    });
    expect(empty).toContain('the extension empty brings nothing');
    expect(await check({ 'millrace.yaml': 'extensions: @acme/edge\n' })).toContain('millrace.yaml');
  });

  it('is told apart from the application where its code is broken', async () => {
    const broken = await check({
      'node_modules/@acme/edge/dist/origins/counting.js': 'export const nothing = 1;',
    });
    expect(broken).toContain('counting.js');
    expect(broken).toContain('defineOriginKind');
    const clash = await check({
      'resources/mine.js': 'export class AcmeStatus extends Resource {}',
    });
    expect(clash).toContain('/AcmeStatus');
    const policy = 'node_modules/@acme/edge/dist/cache-policies/acme-long.yaml';
    expect(await check({ [policy]: 'freshnes: {}\n' })).toContain(
      '@acme/edge/cache-policies/acme-long.yaml:1',
    );
  });

  it('fails the start with what its kind wants', async () => {
    const folder = writeApp({ ...APP, 'origins/count.yaml': 'kind: counting\n' });
    const args = ['start', folder, '--http-port', '0', '--admin-port', '0'];
    const { code, stderr } = await runCommand(args);
    expect(code).toBe(2);
    expect(stderr).toContain('counting needs options.from');
  });
});
