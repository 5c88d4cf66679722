/** Which settings a page has, by its path: the first rule that matches, however it is spelled. */
import { describe, expect, it } from 'vitest';
import { definePolicy } from '../../../../src/cache/default-policy.ts';
import { policyByPath } from '../../../../src/cache/pages/page-rules.ts';

const rule = (match: string, name: string) => ({
  match: [match],
  isPass: name === 'pass',
  override: { name },
});

describe('the rules of a policy', () => {
  const policyOf = policyByPath(
    definePolicy({
      name: 'site',
      rules: [
        rule('/account/*', 'pass'),
        rule('/a*b*b', 'inner'),
        rule('/only', 'only'),
        rule('*.css', 'style'),
      ],
    }),
  );
  const nameOf = (path: string): string => policyOf(path).settings.name;

  it.each([
    ['/account/x/y.css', 'pass'],
    ['/%61ccount/x', 'pass'],
    ['/account', 'site'],
    ['/acbb', 'inner'],
    ['/ab', 'site'],
    ['/only', 'only'],
    ['/only/', 'site'],
    ['/deep/er/style.css', 'style'],
    ['/style.css/x', 'site'],
    ['/account%2Fx', 'site'],
    ['/ACCOUNT/X', 'site'],
    ['/STYLE.CSS', 'site'],
  ])('%s is under %s', (path, name) => {
    expect(nameOf(path)).toBe(name);
  });

  it('never store what they pass', () => {
    expect(policyOf('/account/x').settings.store.enabled).toBe(false);
    expect(policyOf('/other').settings.store.enabled).toBe(true);
    for (const path of ['/ACCOUNT/x', '/x/../Account/x', '/%EF%BC%A1ccount/x', '/Account/x.css']) {
      expect(policyOf(path).settings.store.enabled).toBe(false);
    }
    for (const path of ['/STYLE.CSS', '/Only', '/accounts/X', '/%ff/']) {
      expect(policyOf(path).settings.store.enabled).toBe(true);
    }
  });
});
