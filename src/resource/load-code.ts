/**
 * Finds in an application's code what its folder promises: an origin in `origins/*.ts`, a policy in
 * `cache-policies/*.ts`. The name of the export does not matter; there must be just one.
 */
import { dirname } from 'node:path';
import { NodeError } from '../base/errors.ts';
import type { CachePolicy } from '../cache/policy.ts';
import {
  type DefinedOrigin,
  isDefinedOrigin,
  isOriginKind,
  type OriginKind,
} from '../origin/definition.ts';
import { formatProblem, type Problem } from '../schema/problem.ts';
import { fingerprintOf, loadCode } from './compile.ts';

/** Code, and by what it is known whether its files have changed since. */
export interface Loaded<T> {
  readonly value: T;
  readonly fingerprint: string;
}

/**
 * The `defineOrigin({ … })` which the file (absolute) exports. `folder` is the application's, by
 * default the one above the file's. Throws `APPLICATION_INVALID` with `details.problems`.
 */
export const loadOrigin = (
  file: string,
  folder?: string | undefined,
): Promise<Loaded<DefinedOrigin>> =>
  loadOnly(file, folder, isDefinedOrigin, 'export const origin = defineOrigin({ get })');

/** The `definePolicy({ … })` which the file exports; otherwise as `loadOrigin`. */
export const loadPolicy = (
  file: string,
  folder?: string | undefined,
): Promise<Loaded<CachePolicy>> =>
  loadOnly(file, folder, isPolicy, 'export const policy = definePolicy({ … })');

/** The `defineOriginKind({ … })` which the file of an extension exports; else as `loadOrigin`. */
export const loadKindCode = (
  file: string,
  folder?: string | undefined,
): Promise<Loaded<OriginKind>> =>
  loadOnly(file, folder, isOriginKind, 'export const kind = defineOriginKind({ name, open })');

export const loadOriginCode = async (file: string, folder?: string): Promise<DefinedOrigin> =>
  (await loadOrigin(file, folder)).value;

export const loadPolicyCode = async (file: string, folder?: string): Promise<CachePolicy> =>
  (await loadPolicy(file, folder)).value;

/** Whether the files of loaded code say something else now, or nothing that can be compiled. */
export async function hasChanged(
  { fingerprint }: Loaded<unknown>,
  file: string,
  folder?: string | undefined,
): Promise<boolean> {
  return (await fingerprintOf(file, folder ?? dirname(dirname(file)))) !== fingerprint;
}

const isPolicy = (value: unknown): value is CachePolicy =>
  typeof value === 'object' && value !== null && 'settings' in value && 'hooks' in value;

async function loadOnly<T>(
  file: string,
  folder: string | undefined,
  isWanted: (value: unknown) => value is T,
  example: string,
): Promise<Loaded<T>> {
  const loaded = await loadCode(file, folder ?? dirname(dirname(file)));
  if (loaded.exports === undefined) throw invalid(loaded.problems);
  // The same value under two names (`export default origin`) is one.
  const [first, ...others] = new Set(Object.values(loaded.exports).filter(isWanted));
  if (first !== undefined && others.length === 0) {
    return { value: first, fingerprint: loaded.fingerprint };
  }
  const message = first === undefined ? 'exports nothing that belongs here' : 'exports too much';
  throw invalid([{ file, line: 0, column: 0, message, cure: `write ${example}` }]);
}

const invalid = (problems: readonly Problem[]): NodeError =>
  new NodeError('APPLICATION_INVALID', problems.map(formatProblem).join('\n'), {
    details: { problems },
  });
