/** The policies that come with Millrace, and how a policy is written. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../src/cache/default-policy.ts';
import { WITHOUT_END } from '../../../src/cache/freshness.ts';
import type { PolicySettings } from '../../../src/cache/policy.ts';
import { applyOverrides, parsePolicy } from '../../../src/config/policy-file.ts';
import { formatProblem, ProblemList } from '../../../src/schema/problem.ts';

const shipped = new URL('../../../cache-policies/', import.meta.url);
const nothing = { env: {}, readFile: () => undefined };

function policy(name: string, text: string): PolicySettings {
  const problems = new ProblemList();
  const file = `${name}.yaml`;
  const settings = parsePolicy({ name, text, file }, DEFAULT_SETTINGS, nothing, problems);
  expect(problems.sorted().map(formatProblem)).toEqual([]);
  return settings;
}

const shippedPolicy = (name: string): PolicySettings =>
  policy(name, readFileSync(new URL(`${name}.yaml`, shipped), 'utf8'));

describe('the policies that come with Millrace', () => {
  const names = readdirSync(shipped)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length));

  it('are the seven that the documents name', () => {
    expect(names.sort()).toEqual([
      'api-json',
      'default',
      'immutable',
      'live-feed',
      'never',
      'ssr-page',
      'static-asset',
    ]);
  });

  it('write the default down as the code has it', () => {
    expect(shippedPolicy('default')).toEqual(DEFAULT_SETTINGS);
  });

  it.each(names)('%s: permits no use of an entry that is kept no longer', (name) => {
    const { stale, retention } = shippedPolicy(name);
    const longest = Math.max(...[stale.whileRevalidate, stale.ifError].filter(isBounded));
    expect(retention.keepStale).toBeGreaterThanOrEqual(longest);
  });

  it('agree with the table of their README', () => {
    const readme = readFileSync(new URL('README.md', shipped), 'utf8');
    for (const name of names) expect(readme).toContain(`(${name}.yaml)`);
  });

  it('never: stores nothing and answers nothing stale', () => {
    const never = shippedPolicy('never');
    expect(never.store.enabled).toBe(false);
    expect(never.stale).toEqual({ whileRevalidate: 0, ifError: 0 });
    expect(never.negative).toEqual({});
  });

  it('immutable: does not look at the origin and lasts a year', () => {
    const { freshness } = shippedPolicy('immutable');
    expect(freshness).toMatchObject({ origin: 'ignore', default: 31_536_000_000, jitter: 0 });
  });
});

const isBounded = (span: number): boolean => span < WITHOUT_END;

describe('a policy', () => {
  it('inherits what it does not say, section by section and key by key', () => {
    const settings = policy('mine', 'freshness: { default: 5s }\nkey: { query: { sort: false } }');
    expect(settings.name).toBe('mine');
    expect(settings.freshness).toEqual({ ...DEFAULT_SETTINGS.freshness, default: 5_000 });
    expect(settings.key.query).toEqual({ ...DEFAULT_SETTINGS.key.query, sort: false });
    expect(settings.store).toEqual(DEFAULT_SETTINGS.store);
  });

  it('replaces the whole map of negative answers [DESIGN §5]', () => {
    expect(policy('mine', 'negative: { 410: 1m }').negative).toEqual({ 410: 60_000 });
  });

  it('may be empty', () => {
    expect(policy('mine', '# nothing yet\n')).toEqual({ ...DEFAULT_SETTINGS, name: 'mine' });
  });

  it('takes short forms', () => {
    const text = 'freshness: 1h30m\nstaleWhileRevalidate: 10m\nretention: 2d\nclient: no-cache';
    const settings = policy('mine', text);
    expect(settings.freshness.default).toBe(5_400_000);
    expect(settings.stale.whileRevalidate).toBe(600_000);
    expect(settings.retention.keepStale).toBe(172_800_000);
    expect(settings.client.cacheControl).toBe('no-cache');
  });

  it('writes header names in lower case and methods in upper case', () => {
    const settings = policy('mine', 'vary: { allow: [Accept] }\nkey: { method: get }');
    expect(settings.vary.allow).toEqual(['accept']);
    expect(settings.key.method).toEqual(['GET']);
  });

  it('reads rules, and points at what is wrong with one', () => {
    const sound =
      'rules:\n  - { match: /a/*, pass: true }\n  - { match: ["*.css"], freshness: 1d }';
    expect(policy('mine', sound).rules).toMatchObject([
      { match: ['/a/*'], isPass: true },
      { match: ['*.css'], isPass: false, override: { freshness: { default: 86_400_000 } } },
    ]);
    const problems = new ProblemList();
    const broken =
      'rules:\n  - { pass: true }\n  - { match: account }\n  - { match: /a, frshness: 1s }';
    const source = { name: 'mine', text: broken, file: 'm.yaml' };
    parsePolicy(source, DEFAULT_SETTINGS, nothing, problems);
    expect(problems.sorted().map(({ line }) => line)).toEqual([2, 3, 4]);
  });

  it('keeps the sound part of a broken file, so that one run shows all problems', () => {
    const problems = new ProblemList();
    const source = { name: 'mine', text: 'freshness: soon\nstale: { ifError: 1s }', file: 'm' };
    const settings = parsePolicy(source, DEFAULT_SETTINGS, nothing, problems);
    expect(problems.sorted()).toHaveLength(1);
    expect(settings.freshness.default).toBe(DEFAULT_SETTINGS.freshness.default);
    expect(settings.stale.ifError).toBe(1_000);
  });
});

describe('overrides of @cache', () => {
  const place = { file: 'schema.graphql', line: 3, column: 5 };

  it('leave the policy they are put on as it was', () => {
    const problems = new ProblemList();
    const overrides = { freshness: '1s', negative: { _5xx: '2s' } };
    const settings = applyOverrides(DEFAULT_SETTINGS, { overrides, place }, problems);
    expect(problems.isEmpty).toBe(true);
    expect(settings).toMatchObject({ name: 'default', negative: { '5xx': 2_000 } });
    expect(DEFAULT_SETTINGS.freshness.default).toBe(60_000);
  });

  it('report at the argument, or at the directive when its place is not known', () => {
    const problems = new ProblemList();
    const places = { stale: { file: 'schema.graphql', line: 4, column: 9 } };
    const overrides = { stale: { iferror: '1s' }, freshness: 60 };
    applyOverrides(DEFAULT_SETTINGS, { overrides, place, places }, problems);
    expect(problems.sorted().map(({ line, column }) => [line, column])).toEqual([
      [3, 5],
      [4, 9],
    ]);
  });
});
