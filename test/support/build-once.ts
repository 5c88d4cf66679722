/**
 * Builds `dist/` once before any test: the scenarios start the real command. Each project of tests
 * asks for it, in one process.
 */
import { execFileSync } from 'node:child_process';

const DONE = 'VITEST_DIST_IS_BUILT';

export function setup(): void {
  if (process.env[DONE] !== undefined) return;
  execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
  process.env[DONE] = '1';
}
