/**
 * `millrace backup`, which asks a running node to write one, and `millrace restore`, which makes a
 * data folder of one while no node runs on it. Both check what they write byte by byte.
 */
import path from 'node:path';
import { asNodeError } from '../base/errors.ts';
import { loadConfig } from '../config/config.ts';
import { formatProblem } from '../schema/problem.ts';
import { verifyBackup } from '../store/lmdb/backup.ts';
import { restoreBackup } from '../store/lmdb/restore.ts';
import type { BackupReport } from '../store/store-options.ts';
import { type AdminFlags, exitCodeOf, operate, printed } from './admin-client.ts';
import { EXIT, type Terminal } from './terminal.ts';

export function backUpNode(folder: string, flags: AdminFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const document = { operation: 'backup', folder: path.resolve(terminal.cwd, folder) };
    const answer = await operate(flags, terminal, document);
    if (flags.json === true) terminal.out(printed(answer));
    else terminal.out(`backed up: ${told(answer as unknown as BackupReport)}`);
    return EXIT.clean;
  });
}

export interface RestoreFlags {
  readonly data?: string | undefined;
  readonly check?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** A node that runs on the folder is said so at once. */
const LOCK_WAIT_MS = 0;

export async function restoreNode(
  from: string,
  appFolder: string,
  flags: RestoreFlags,
  terminal: Terminal,
): Promise<number> {
  const backup = path.resolve(terminal.cwd, from);
  try {
    if (flags.check === true) {
      return say('checked', await verifyBackup(backup), flags, terminal);
    }
    const { config, problems } = loadConfig({
      appFolder: path.resolve(terminal.cwd, appFolder),
      flags: { data: flags.data },
      env: terminal.env,
    });
    if (config === undefined) {
      for (const problem of problems ?? []) terminal.err(formatProblem(problem));
      return EXIT.usage;
    }
    const to = config.dataFolder;
    const report = await restoreBackup({ from: backup, to, lockWaitMs: LOCK_WAIT_MS });
    return say('restored', report, flags, terminal);
  } catch (error) {
    const failure = asNodeError(error);
    terminal.err(`millrace: ${failure.message}`);
    return failure.code === 'USAGE' ? EXIT.usage : EXIT.fault;
  }
}

function say(
  verb: string,
  report: BackupReport,
  { json }: RestoreFlags,
  terminal: Terminal,
): number {
  terminal.out(json === true ? printed(report) : `${verb}: ${told(report)}`);
  return EXIT.clean;
}

const told = ({ folder, files, bytes, madeAt, epoch, sequence }: BackupReport): string =>
  `${folder}, ${files} files, ${bytes} bytes, of ${madeAt}, up to ${epoch}.${sequence}`;
