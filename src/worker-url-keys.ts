/** The keys by which URLs are signed, on one thread, as the files have them now. */
import type { UrlKey } from './access/signed-url.ts';
import { plainText } from './config/differences.ts';
import type { Configuration, PreparedPart, ReloadPart } from './config/reload.ts';

/** `use` is told of other keys: what one of those that are gone has signed is good no more. */
export function followUrlKeys(
  keys: readonly UrlKey[],
  use: (keys: readonly UrlKey[]) => void,
): ReloadPart {
  let current = keys;
  return {
    name: 'URL keys',
    settings: ['auth.urlKeys'],
    prepare({ config }: Configuration): PreparedPart {
      const next = config.auth.urlKeys;
      return {
        changes: changesOf(current, next),
        apply() {
          if (plainText(current) === plainText(next)) return;
          current = next;
          use(next);
        },
      };
    },
  };
}

/** By name: a secret is not for people's eyes. */
function changesOf(before: readonly UrlKey[], after: readonly UrlKey[]): string[] {
  const secrets = new Map(before.map(({ name, secret }) => [name, secret]));
  const kept = new Set(after.map(({ name }) => name));
  const changes = after.flatMap(({ name, secret }) => {
    const old = secrets.get(name);
    if (old === undefined) return [`auth.urlKeys: ${name} is new`];
    return old === secret ? [] : [`auth.urlKeys: ${name} has another secret`];
  });
  for (const { name } of before) if (!kept.has(name)) changes.push(`auth.urlKeys: ${name} is gone`);
  const [first, firstBefore] = [after[0]?.name, before[0]?.name];
  if (first !== undefined && firstBefore !== undefined && first !== firstBefore) {
    changes.push(`auth.urlKeys: ${first} signs from now on`);
  }
  return changes;
}
