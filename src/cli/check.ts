/**
 * `millrace check`: everything that can be known of an application without starting it: schema,
 * configuration, policies, origins, and that its code compiles. Says all it finds, with file, line,
 * cause and cure.
 */
import { asNodeError } from '../base/errors.ts';
import type { Application } from '../config/application.ts';
import { loadConfig } from '../config/config.ts';
import { loadOriginCode, loadPolicyCode } from '../resource/load-code.ts';
import type { Problem } from '../schema/problem.ts';
import { loadApplication } from '../worker-application.ts';
import { sayProblems } from './start.ts';
import { EXIT, type Terminal } from './terminal.ts';

export async function check(appFolder: string, terminal: Terminal): Promise<number> {
  const loaded = loadConfig({ appFolder, env: terminal.env });
  const read = loadApplication(appFolder, terminal.env);
  const code = read.application === undefined ? [] : await codeProblems(read.application);
  const problems = [...(loaded.problems ?? []), ...(read.problems ?? []), ...code];
  if (problems.length > 0) return sayProblems(problems, terminal);
  const tables = read.application?.schema.tables.length ?? 0;
  terminal.out(`${appFolder} is in order: ${tables} ${tables === 1 ? 'table' : 'tables'}`);
  return EXIT.clean;
}

async function codeProblems(application: Application): Promise<readonly Problem[]> {
  const loads = [
    ...code(application.origins).map((file) => () => loadOriginCode(file)),
    ...code(application.policies).map((file) => () => loadPolicyCode(file)),
  ];
  const problems: Problem[] = [];
  for (const load of loads) {
    try {
      await load();
    } catch (error) {
      const { details, message } = asNodeError(error);
      const found = details.problems as readonly Problem[] | undefined;
      problems.push(...(found ?? [{ file: application.folder, line: 0, column: 0, message }]));
    }
  }
  return problems;
}

function code(
  sources: ReadonlyMap<string, { readonly kind: string; readonly file?: string }>,
): string[] {
  return [...sources.values()].flatMap(({ kind, file }) =>
    kind === 'code' && file !== undefined ? [file] : [],
  );
}
