/** Reads an application with the policies that come with this installation. */
import { fileURLToPath } from 'node:url';
import { asNodeError } from './base/errors.ts';
import { type ReadApplication, readApplication } from './config/application.ts';
import { type Environment, processEnvironment } from './config/config.ts';
import type { TableDefinition } from './schema/definition.ts';
import { grantedFilter } from './table/query/row-view.ts';

const SHIPPED_POLICIES = fileURLToPath(new URL('../cache-policies', import.meta.url));

/** `env` is the process's own unless another is given. */
export const loadApplication = (
  folder: string,
  env: Environment = processEnvironment(),
): ReadApplication =>
  readApplication(folder, { env, shippedPolicies: SHIPPED_POLICIES, filterFault });

/** Values stand for what is known of a user: one of them is of the kind of the attribute. */
const SAMPLES = ['1', 'true', '2026-01-01T00:00:00Z'];

function filterFault(table: TableDefinition, filter: string): string | undefined {
  const faults = SAMPLES.map((sample) => {
    try {
      grantedFilter(filter.replace(/\$\{user\.[A-Za-z_][\w-]*\}/g, sample), table, undefined);
      return undefined;
    } catch (error) {
      return asNodeError(error).message;
    }
  });
  return faults.includes(undefined) ? undefined : faults[0];
}
