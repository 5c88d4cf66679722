/**
 * Whole applications. Each folder of `fixtures/applications` with an `expected.txt` makes one kind
 * of mistake; a line of that file is the place at which a problem must be reported, and words
 * which its text must contain (what was probably meant). Folders without the file are sound.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { tableName } from '../../../src/base/brands.ts';
import { WITHOUT_END } from '../../../src/cache/freshness.ts';
import type { PolicySettings } from '../../../src/cache/policy.ts';
import { type Application, readApplication } from '../../../src/config/application.ts';
import { formatProblem } from '../../../src/schema/problem.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/applications', import.meta.url));
const shippedPolicies = fileURLToPath(new URL('../../../cache-policies', import.meta.url));
const env = { FLIGHTS_TOKEN: 'secret' };

const read = (name: string) => readApplication(join(fixtures, name), { env, shippedPolicies });

function sound(name: string): Application {
  const { application, problems } = read(name);
  expect((problems ?? []).map(formatProblem)).toEqual([]);
  return must(application, name);
}

const expectedOf = (name: string): readonly (readonly [place: string, words: string])[] => {
  const lines = readFileSync(join(fixtures, name, 'expected.txt'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const space = line.indexOf(' ');
    return [line.slice(0, space), line.slice(space + 1)] as const;
  });
};

const mistaken = readdirSync(fixtures).filter((name) =>
  existsSync(join(fixtures, name, 'expected.txt')),
);

describe('an application with a mistake', () => {
  it.each(mistaken)('%s: is reported with file, line, column and what was meant', (name) => {
    const texts = (read(name).problems ?? []).map(formatProblem);
    const expected = expectedOf(name);
    expect(texts.map((text) => text.slice(0, text.indexOf(' ')))).toEqual(
      expected.map(([place]) => place),
    );
    for (const [index, [, words]] of expected.entries()) expect(texts[index]).toContain(words);
  });

  it('is not a folder at all', () => {
    expect(read('no-such-folder').problems).toHaveLength(1);
  });
});

describe('an application with everything', () => {
  const application = sound('everything');
  const policyOf = (name: string): PolicySettings => {
    const policy = must(application.tablePolicies.get(tableName(name)), name);
    if (policy.kind !== 'settings') throw new Error(`${name} has a policy in code`);
    return policy.settings;
  };

  it('gives every table its policy', () => {
    expect([...application.tablePolicies.keys()]).toEqual([
      'air.Flight',
      'Airport',
      'Page',
      'Topic',
    ]);
  });

  it('puts inline overrides on a policy that comes with Millrace', () => {
    const policy = policyOf('air.Flight');
    expect(policy.name).toBe('live-feed');
    expect(policy.freshness).toMatchObject({ default: 60_000, origin: 'ignore' });
    expect(policy.stale).toEqual({ whileRevalidate: 30_000, ifError: 86_400_000 });
    expect(policy.negative).toEqual({ 404: 5_000 });
  });

  it('lets its own policies inherit from its own default, key by key', () => {
    const site = policyOf('Page');
    expect(site.freshness).toMatchObject({ default: 300_000, max: 86_400_000, jitter: 0.1 });
    expect(site.stale).toEqual({ whileRevalidate: 5_000, ifError: WITHOUT_END });
    expect(site.negative).toEqual({ 404: 60_000 });
    expect(policyOf('Topic').stale.whileRevalidate).toBe(5_000);
  });

  it('reads an origin with everything', () => {
    const origin = must(application.origins.get('flights'), 'flights');
    if (origin.kind !== 'settings') throw new Error('flights is written in YAML');
    expect(origin.settings).toMatchObject({
      kind: 'http',
      url: 'https://api.example.com',
      headers: { authorization: 'Bearer secret', 'x-tier': 'gold' },
      timeoutMs: 3_000,
      retries: 1,
      concurrency: 8,
      queueMax: 100,
      breaker: { failures: 3, cooldownMs: 60_000 },
      health: { path: '/healthz', everyMs: 5_000 },
      feed: {
        kind: 'sse',
        path: '/stream',
        id: ['flightId'],
        value: ['state'],
        event: { kind: 'read', from: 'name', map: { changed: 'put', gone: 'delete' } },
      },
      allowPrivate: ['10.0.0.7:8080', '[::1]:9000'],
      bodyMax: 1_048_576,
    });
  });

  it('fills in what an origin leaves out, and leaves the port to the process it runs', () => {
    const origin = must(application.origins.get('web'), 'web');
    if (origin.kind !== 'settings') throw new Error('web is written in YAML');
    expect(origin.settings).toMatchObject({
      run: `next start -p \${port}`,
      timeoutMs: 10_000,
      retries: 1,
      concurrency: 32,
      breaker: { failures: 5, cooldownMs: 10_000 },
      allowPrivate: false,
    });
  });

  it('lists code without loading it, except what begins with an underscore', () => {
    expect(application.origins.get('scores')).toEqual({
      kind: 'code',
      file: join(fixtures, 'everything/origins/scores.ts'),
    });
    expect(application.resources).toEqual([join(fixtures, 'everything/resources/hello.js')]);
    expect(application.publicFolder).toBe(join(fixtures, 'everything/public'));
  });

  it('reads roles, and leaves the user to the request', () => {
    expect(application.roles.get('anonymous')?.tables.Topic).toMatchObject({
      read: true,
      deny: { subscribe: ['test/nosubscribe'] },
    });
    expect(application.roles.get('editor')?.tables.flights).toMatchObject({
      filter: `gate=\${user.desk}`,
      attributes: { miles: { read: false } },
      keys: ['news/#'],
    });
  });
});

describe('an application that is hardly one', () => {
  it('may be an empty folder', () => {
    const { application } = readApplication(fileURLToPath(new URL('.', import.meta.url)), { env });
    expect(application?.schema.tables).toEqual([]);
    expect(application?.publicFolder).toBeUndefined();
  });
});
