/** Reads an application with the policies that come with this installation. */
import { fileURLToPath } from 'node:url';
import { type ReadApplication, readApplication } from './config/application.ts';
import { type Environment, processEnvironment } from './config/config.ts';

const SHIPPED_POLICIES = fileURLToPath(new URL('../cache-policies', import.meta.url));

/** `env` is the process's own unless another is given. */
export const loadApplication = (
  folder: string,
  env: Environment = processEnvironment(),
): ReadApplication => readApplication(folder, { env, shippedPolicies: SHIPPED_POLICIES });
