/**
 * What is wrong with an application beyond the forms of its files: every origin and policy that is
 * a program is compiled and loaded, every origin of a file is opened as a start would (which
 * reaches for nothing yet), each for itself and whatever else is broken, so that one run shows
 * everything.
 */
import path from 'node:path';
import { systemClock } from '../base/clock.ts';
import { asNodeError } from '../base/errors.ts';
import type { Application, OriginSource } from '../config/application.ts';
import { listFiles } from '../config/application-files.ts';
import { CONFIG_FILE, type Config } from '../config/config.ts';
import type { OriginSettings } from '../config/origin-file.ts';
import { readSeeds } from '../node-seeds.ts';
import { openOrigin } from '../origin/open-origin.ts';
import { loadKindCode, loadOriginCode, loadPolicyCode } from '../resource/load-code.ts';
import { type Problem, ProblemList } from '../schema/problem.ts';
import { withHostedOrigins } from '../worker-hosted.ts';
import { prepareApplication } from '../worker-resources.ts';
import { openCertificates } from '../worker-tls.ts';

/** `application` where it could be read: its origins of `kind: module` name further files. */
export async function codeProblems(
  folder: string,
  application?: Application | undefined,
): Promise<readonly Problem[]> {
  const loads: (() => Promise<unknown>)[] = [
    ...codeIn(folder, 'origins').map((file) => () => loadOriginCode(file)),
    ...written(application).map((settings) => () => openable(settings, folder)),
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

/** Stands for the port on which the node will run a server of its own. */
const SOME_PORT = 1;

/** The origins that a file has settings of. */
function written(application: Application | undefined): OriginSettings[] {
  if (application === undefined) return [];
  const isHosted = (source: OriginSource): boolean =>
    source.kind === 'settings' && source.settings.run !== undefined;
  const hosted = [...application.origins].filter(([, source]) => isHosted(source));
  const ports = new Map(hosted.map(([name]) => [name, SOME_PORT]));
  return [...withHostedOrigins(application, ports).origins.values()].flatMap((source) =>
    source.kind === 'settings' ? [source.settings] : [],
  );
}

/** Rejects with what is wrong: with the settings, or with the code that they name. */
async function openable(settings: OriginSettings, folder: string): Promise<void> {
  const { kind, module, broughtKind } = settings;
  const file = kind === 'module' && module !== undefined ? path.resolve(folder, module) : undefined;
  if (file !== undefined && broughtKind === undefined)
    return void (await loadOriginCode(file, folder));
  const brought = file === undefined ? undefined : (await loadKindCode(file, folder)).value;
  const around = { clock: systemClock, random: Math.random };
  const runtime = await openOrigin(settings, around, brought);
  await runtime.discard();
}

/** What is wrong with the certificates that the configuration names, as a start would say it. */
export function certificateProblems(config: Config): readonly Problem[] {
  try {
    openCertificates(config, config.http.engine === 'uws' ? 'uws' : 'node');
    return [];
  } catch (error) {
    return problemsOf(error, CONFIG_FILE);
  }
}
