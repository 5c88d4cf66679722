/**
 * Topic filters over names that are divided by '/', as MQTT defines them [MQTT5 §4.7]: `+` stands
 * for one level, a trailing `#` for any number of levels, its parent's own name included. Used for
 * MQTT subscriptions and for the keys that a role's grant names.
 */

/** Levels of a filter or name; more are refused before anything recurses or allocates by them. */
export const TOPIC_LEVELS_MAX = 128;

/**
 * Why a text is no filter, or `undefined` when it is one. `#` must be the last level, and both
 * wildcards must stand alone in theirs [MQTT5-4.7.1-1, MQTT5-4.7.1-2].
 */
export function topicFilterFault(filter: string): string | undefined {
  if (filter === '') return 'it is empty';
  if (filter.includes('\u0000')) return 'it holds a NUL';
  const levels = filter.split('/');
  if (levels.length > TOPIC_LEVELS_MAX) return `it has more than ${TOPIC_LEVELS_MAX} levels`;
  for (const [at, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || at !== levels.length - 1)) {
      return '"#" must be the whole last level';
    }
    if (level.includes('+') && level !== '+') return '"+" must be a whole level';
  }
  return undefined;
}

/** Whether a text is a name one can publish to: no wildcard, no NUL [MQTT5-3.3.2-2]. */
export const isTopicName = (name: string): boolean =>
  name !== '' && !/[+#\u0000]/.test(name) && name.split('/').length <= TOPIC_LEVELS_MAX;

/**
 * A test of names. A filter that begins with a wildcard does not match names that begin with `$`
 * [MQTT5-4.7.2-1].
 */
export function compileTopicFilter(filter: string): (name: string) => boolean {
  if (!/[+#]/.test(filter)) return (name) => name === filter;
  const levels = filter.split('/');
  const isDeep = levels.at(-1) === '#';
  const fixed = isDeep ? levels.slice(0, -1) : levels;
  const beginsWild = levels[0] === '+' || levels[0] === '#';
  return (name) => {
    if (beginsWild && name.startsWith('$')) return false;
    const given = name.split('/', fixed.length + 1);
    if (given.length < fixed.length) return false;
    if (!isDeep && given.length > fixed.length) return false;
    return fixed.every((level, at) => level === '+' || level === given[at]);
  };
}
