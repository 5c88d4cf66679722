/**
 * What is wrong with an application's code: every origin and policy that is a program is compiled
 * and loaded, each for itself and whatever else is broken, so that one run shows everything.
 */
import path from 'node:path';
import { asNodeError } from '../base/errors.ts';
import type { Application } from '../config/application.ts';
import { listFiles } from '../config/application-files.ts';
import { readSeeds } from '../node-seeds.ts';
import { loadKindCode, loadOriginCode, loadPolicyCode } from '../resource/load-code.ts';
import { type Problem, ProblemList } from '../schema/problem.ts';
import { prepareApplication } from '../worker-resources.ts';

/** `application` where it could be read: its origins of `kind: module` name further files. */
export async function codeProblems(
  folder: string,
  application?: Application | undefined,
): Promise<readonly Problem[]> {
  const loads: (() => Promise<unknown>)[] = [
    ...codeIn(folder, 'origins').map((file) => () => loadOriginCode(file)),
    ...modules(folder, application, false).map((file) => () => loadOriginCode(file, folder)),
    ...modules(folder, application, true).map((file) => () => loadKindCode(file, folder)),
    ...codeIn(folder, 'cache-policies').map((file) => () => loadPolicyCode(file)),
    // Classes may extend tables: without a schema there are none.
    ...(application === undefined ? [] : [() => prepareApplication(application)]),
  ];
  const problems: Problem[] = [];
  if (application !== undefined) problems.push(...readSeeds(application).problems);
  for (const load of loads) {
    try {
      await load();
    } catch (error) {
      problems.push(...problemsOf(error, folder));
    }
  }
  return problems;
}

/** The problems which an error carries, or the error as the one problem. */
export function problemsOf(error: unknown, folder: string): readonly Problem[] {
  const { details, message } = asNodeError(error);
  const found = details.problems as readonly Problem[] | undefined;
  return found ?? [{ file: folder, line: 0, column: 0, message }];
}

/** Mistakes of names are reported by who reads the application; here they would be said twice. */
const codeIn = (folder: string, part: string): string[] =>
  listFiles(folder, part, new ProblemList()).flatMap(({ kind, path: file }) =>
    kind === 'code' ? [file] : [],
  );

/** Of origins that are code with settings: the code, or the kind that an extension brings. */
function modules(
  folder: string,
  application: Application | undefined,
  isBrought: boolean,
): string[] {
  return [...(application?.origins.values() ?? [])].flatMap((source) =>
    source.kind === 'settings' &&
    source.settings.kind === 'module' &&
    source.settings.module !== undefined &&
    (source.settings.broughtKind !== undefined) === isBrought
      ? [path.resolve(folder, source.settings.module)]
      : [],
  );
}
