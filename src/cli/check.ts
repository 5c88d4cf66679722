/**
 * `millrace check`: everything that can be known of an application without starting it: schema,
 * configuration, certificates, policies, origins, and that its code compiles. Says all it finds,
 * with file, line, cause and cure.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '../config/config.ts';
import { adoptLimits } from '../config/limits.ts';
import { tableTypes } from '../resource/table-types.ts';
import { loadApplication } from '../worker-application.ts';
import { certificateProblems, codeProblems } from './code-problems.ts';
import { sayProblems } from './start.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface CheckOptions {
  /** Write `millrace-env.d.ts`, the tables as an editor wants them. */
  readonly types?: boolean | undefined;
}

export async function check(
  appFolder: string,
  terminal: Terminal,
  options: CheckOptions = {},
): Promise<number> {
  const loaded = loadConfig({ appFolder, env: terminal.env });
  if (loaded.config !== undefined) adoptLimits(loaded.config.limits);
  const read = loadApplication(appFolder, terminal.env);
  if (options.types === true && read.application !== undefined) {
    const file = path.join(appFolder, 'millrace-env.d.ts');
    writeFileSync(file, tableTypes(read.application.schema));
    terminal.out(`wrote ${file}`);
  }
  const code = await codeProblems(appFolder, read.application);
  const files = loaded.config === undefined ? [] : certificateProblems(loaded.config);
  const problems = [...(loaded.problems ?? []), ...(read.problems ?? []), ...files, ...code];
  if (problems.length > 0) return sayProblems(problems, terminal);
  const tables = read.application?.schema.tables.length ?? 0;
  terminal.out(`${appFolder} is in order: ${tables} ${tables === 1 ? 'table' : 'tables'}`);
  return EXIT.clean;
}
