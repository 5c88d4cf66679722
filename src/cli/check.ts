/**
 * `millrace check`: everything that can be known of an application without starting it: schema,
 * configuration, policies, origins, and that its code compiles. Says all it finds, with file, line,
 * cause and cure.
 */
import { loadConfig } from '../config/config.ts';
import { loadApplication } from '../worker-application.ts';
import { codeProblems } from './code-problems.ts';
import { sayProblems } from './start.ts';
import { EXIT, type Terminal } from './terminal.ts';

export async function check(appFolder: string, terminal: Terminal): Promise<number> {
  const loaded = loadConfig({ appFolder, env: terminal.env });
  const read = loadApplication(appFolder, terminal.env);
  const code = await codeProblems(appFolder, read.application);
  const problems = [...(loaded.problems ?? []), ...(read.problems ?? []), ...code];
  if (problems.length > 0) return sayProblems(problems, terminal);
  const tables = read.application?.schema.tables.length ?? 0;
  terminal.out(`${appFolder} is in order: ${tables} ${tables === 1 ? 'table' : 'tables'}`);
  return EXIT.clean;
}
