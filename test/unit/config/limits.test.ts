/**
 * Every limit, one by one: it may be set and is then in force, or setting it is refused with what
 * to set instead. What is in force is read by every module at the time of use (`tidy.test.ts`), so
 * this is the whole way from `millrace.yaml` to what is held.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readConfigFile } from '../../../src/config/config-file.ts';
import { FIXED_LIMITS, limitBounds } from '../../../src/config/limit-bounds.ts';
import { adoptLimits, LIMIT_DEFAULTS, LIMITS } from '../../../src/config/limits.ts';
import { LIMIT_NAMES } from '../../../src/config/settings.ts';
import { ProblemList } from '../../../src/schema/problem.ts';

function readLimits(text: string) {
  const problems = new ProblemList();
  const substitutes = { env: {}, readFile: () => undefined };
  const { limits } = readConfigFile(text, { file: 'millrace.yaml', substitutes, problems });
  return { limits, problems: problems.sorted() };
}

afterEach(() => adoptLimits(LIMIT_DEFAULTS));

const settable = LIMIT_NAMES.filter((name) => FIXED_LIMITS[name] === undefined);
const fixed = LIMIT_NAMES.filter((name) => FIXED_LIMITS[name] !== undefined);

describe('limits that may be set', () => {
  it.each(settable)('%s is in force when it is set', (name) => {
    const value = Math.max(1, Math.floor(LIMIT_DEFAULTS[name] / 2));
    const { limits, problems } = readLimits(`limits: { ${name}: ${value} }\n`);
    expect(problems).toEqual([]);
    adoptLimits({ ...LIMIT_DEFAULTS, ...limits });
    expect(LIMITS[name]).toBe(value);
  });

  it.each(settable)('%s has a default within its bounds, and refuses what is outside', (name) => {
    const { least, most } = limitBounds(name);
    expect(LIMIT_DEFAULTS[name]).toBeGreaterThanOrEqual(least);
    expect(LIMIT_DEFAULTS[name]).toBeLessThanOrEqual(most);
    if (least > 0) expect(readLimits(`limits: { ${name}: 0 }\n`).problems).toHaveLength(1);
    const over = most + 1;
    if (Number.isSafeInteger(over)) {
      expect(readLimits(`limits: { ${name}: ${over} }\n`).problems).toHaveLength(1);
    }
  });

  it('are each read somewhere', () => {
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !/^config.limit/.test(path))
      .map((path) => readFileSync(join('src', path), 'utf8'));
    const text = sources.join('\n');
    expect(LIMIT_NAMES.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });
});

describe('limits that are none of the settings', () => {
  it.each(fixed)('%s is refused, with the line and what to do', (name) => {
    const { limits, problems } = readLimits(`threads: 1\nlimits:\n  ${name}: 100\n`);
    expect(limits).toEqual({});
    expect(problems).toMatchObject([{ file: 'millrace.yaml', line: 3 }]);
    expect(problems[0]?.cure).toBeTruthy();
  });
});
