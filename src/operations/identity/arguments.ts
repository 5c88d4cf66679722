/**
 * Arguments of the operations about users, roles and keys: each check names the argument, and what
 * is written instead. Names are bounded and printable, since they stand in logs and in Basic
 * credentials; passwords have a least length and are otherwise the user's own.
 */
import { LIMITS } from '../../config/limits.ts';
import { type Arguments, usage } from '../operation.ts';

export function nameArgument(args: Arguments, argument: string): string {
  const value = args[argument];
  const isName =
    typeof value === 'string' &&
    value.length <= LIMITS.nameCharsMax &&
    /^[^\s:\p{Cc}](?:[^:\p{Cc}]*[^\s:\p{Cc}])?$/u.test(value);
  if (isName) return value;
  throw usage(
    `${argument}: a name of 1 to ${LIMITS.nameCharsMax} characters, without colons or line breaks`,
  );
}

export function passwordArgument(value: unknown): string {
  const { passwordCharsMin: least, passwordCharsMax: most } = LIMITS;
  if (typeof value === 'string' && value.length >= least && value.length <= most) return value;
  throw usage(`password: ${least} to ${most} characters; a few words make a good one`);
}

export function flagArgument(args: Arguments, argument: string): boolean | undefined {
  const value = args[argument];
  if (value === undefined || typeof value === 'boolean') return value;
  throw usage(`${argument}: true or false`);
}

export function textArgument(args: Arguments, argument: string): string {
  const value = args[argument];
  if (typeof value === 'string' && value !== '' && value.length <= LIMITS.tokenCharsMax) {
    return value;
  }
  throw usage(`${argument}: a text is required`);
}

/** Names in a list, or one alone. */
export function namesArgument(args: Arguments, argument: string): readonly string[] | undefined {
  const value = args[argument];
  if (value === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > ROLES_MAX) throw usage(`${argument}: at most ${ROLES_MAX}`);
  return list.map((one) => nameArgument({ [argument]: one }, argument));
}

const ROLES_MAX = 64;
