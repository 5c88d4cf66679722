/**
 * The rules of a policy: which settings a page has by its path. The first rule that matches
 * decides; without one the policy does. Pure.
 *
 * A glob is about the whole path, without the query; `*` stands for any run of characters, slashes
 * too. What may be written without percent-encoding is compared so, since an origin takes
 * `/%61ccount` for `/account`. Where an origin may resolve a path to one that another rule is for
 * (`/static/../account`), the page is passed on and not stored. So it is where an origin that does
 * not mind case may take it for one that a rule keeps from others (`/Account`).
 */
import { definePolicy } from '../default-policy.ts';
import type { CachePolicy, PolicyRule, SettingsOverride } from '../policy.ts';
import { foldedPath, plainPath, resolvedPath } from './path-forms.ts';

export type PolicyOfPath = (path: string) => CachePolicy;

export function policyByPath(policy: CachePolicy): PolicyOfPath {
  const rules = policy.settings.rules.map((rule) => ({
    globs: rule.match.map((glob) => glob.split('*')),
    folded: rule.match.map((glob) => glob.toLowerCase().split('*')),
    policy: definePolicy(overrideOf(rule), policy),
  }));
  if (rules.length === 0) return () => policy;
  const ruleFor = (path: string): CachePolicy => {
    const found = rules.find(({ globs }) => globs.some((parts) => isMatch(parts, path)));
    return found?.policy ?? policy;
  };
  const keepsApart = rules.some((rule) => isGuarded(rule.policy));
  const guardFor = (path: string): CachePolicy | undefined => {
    const text = keepsApart ? foldedPath(path) : undefined;
    if (text === undefined) return undefined;
    const rule = rules.find(({ folded }) => folded.some((parts) => isMatch(parts, text)));
    return rule !== undefined && isGuarded(rule.policy) ? rule.policy : undefined;
  };
  return (path) => {
    const plain = plainPath(path);
    const found = ruleFor(plain);
    const resolved = resolvedPath(path);
    const other = resolved === undefined ? found : ruleFor(resolved);
    const guard = guardFor(resolved ?? plain) ?? found;
    const met = other === found ? found : ofBoth(found, other);
    return guard === found ? met : ofBoth(met, guard);
  };
}

/** Its pages are for one, or for those who were given a URL. */
const isGuarded = ({ settings: { store, client } }: CachePolicy): boolean =>
  !store.enabled || client.signedUrls;

/** What neither reading of a path would forbid: nothing is stored, and a signature is needed. */
function ofBoth(found: CachePolicy, other: CachePolicy): CachePolicy {
  const signedUrls = found.settings.client.signedUrls || other.settings.client.signedUrls;
  return definePolicy({ store: { enabled: false }, client: { signedUrls } }, found);
}

/** What is passed on is asked for as it came, with all its fields, and never stored. */
function overrideOf({ isPass, override }: PolicyRule): SettingsOverride {
  if (!isPass) return override;
  return { ...override, store: { ...override.store, enabled: false } };
}

/** Each part at its first place after the one before it: no glob makes it look back. */
function isMatch(parts: readonly string[], path: string): boolean {
  const [head = '', ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return path === head;
  if (!path.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = path.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return path.length - at >= tail.length && path.endsWith(tail);
}
