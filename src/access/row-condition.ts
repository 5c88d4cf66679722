/**
 * Fills the conditions of a role with what is known of a principal: `desk=${user.desk}` becomes
 * `desk=sport`. Values are percent-encoded, so that no value can add a condition of its own.
 */

/** What a user's record or token says of them; reached as `${user.NAME}`. */
export type UserFacts = Readonly<Record<string, unknown>>;

const PLACE = /\$\{user\.([A-Za-z_][\w-]*)\}/g;

/** The conditions filled in; `unmet` when they name a fact which is not known of this user. */
export function fillFilter(filter: string, facts: UserFacts): string | 'unmet' {
  let isMet = true;
  const filled = filter.replace(PLACE, (_, name: string) => {
    const value = Object.hasOwn(facts, name) ? facts[name] : undefined;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      return encodeURIComponent(String(value)).replace(/[()*!']/g, percent);
    }
    isMet = false;
    return '';
  });
  return isMet ? filled : 'unmet';
}

const percent = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
