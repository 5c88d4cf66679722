/**
 * The values of a policy with where each comes from: what `@cache` says beats the policy it names,
 * which beats the defaults that come with Millrace. Durations are in milliseconds.
 */
import { DEFAULT_SETTINGS } from '../cache/default-policy.ts';
import type { CachePolicy } from '../cache/policy.ts';
import type { TableDefinition } from '../schema/definition.ts';

export interface PolicyReport {
  readonly name: string;
  /** Hooks written in code, which replace the rule of their name. */
  readonly hooks: readonly string[];
  readonly values: Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;
}

export function reportPolicy({ settings, hooks }: CachePolicy, definition: TableDefinition) {
  const values: Record<string, { value: unknown; from: string }> = {};
  for (const [section, own] of Object.entries(settings)) {
    if (section === 'name' || section === 'rules') continue;
    for (const [key, value] of Object.entries(own as object)) {
      const from = sourceOf(section, key, value, settings.name, definition);
      values[`${section}.${key}`] = { value, from };
    }
  }
  if (settings.rules.length > 0) {
    values.rules = { value: settings.rules.length, from: `policy ${settings.name}` };
  }
  const named = Object.entries(hooks).filter(([, hook]) => hook !== undefined);
  return { name: settings.name, hooks: named.map(([name]) => name), values } satisfies PolicyReport;
}

function sourceOf(
  section: string,
  key: string,
  value: unknown,
  policy: string,
  { cache, expiration, eviction }: TableDefinition,
): string {
  const said = cache?.overrides[section];
  if (said !== undefined && (typeof said !== 'object' || said === null || key in said)) {
    const place = cache?.places?.[section];
    return place === undefined ? '@cache' : `@cache, ${place.file}:${place.line}`;
  }
  if (`${section}.${key}` === 'freshness.default' && expiration !== undefined) {
    return '@table(expiration)';
  }
  if (`${section}.${key}` === 'retention.keepStale' && eviction !== undefined) {
    return '@table(eviction)';
  }
  const usual = (DEFAULT_SETTINGS[section as keyof typeof DEFAULT_SETTINGS] ?? {}) as object;
  const isUsual = JSON.stringify(Reflect.get(usual, key)) === JSON.stringify(value);
  return isUsual ? 'default' : `policy ${policy}`;
}
