/**
 * Programmer errors (STYLE §errors, third kind): a broken assumption of our own code.
 * These carry no code and are never caught for logic. In a request, that request fails; in a
 * commit, the process stops, since the state is in doubt.
 */

/** Thrown when our own code broke one of its invariants; never for bad input. */
export class AssertionFailure extends Error {
  override name = 'AssertionFailure';
}

/** Throws `AssertionFailure` unless `condition` holds. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionFailure(`broken invariant: ${invariant}`);
}

/**
 * Returns `value`, which the caller knows to be present; throws `AssertionFailure` when it is not.
 */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFailure(`${what} must be present`);
  return value;
}

/** Ends an exhaustive `switch`: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable case ${JSON.stringify(value)}`);
}
