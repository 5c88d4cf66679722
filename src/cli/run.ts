/**
 * The command line: which command with which flags. Commands are loaded when they are called, so
 * `version` does not pay for the store.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { FLAGS, type FlagValues } from '../config/flags.ts';
import { addClusterCommands } from './cluster-commands.ts';
import { addIdentityCommands } from './identity-commands.ts';
import { addOperateCommands } from './operate-commands.ts';
import { EXIT, type Terminal } from './terminal.ts';
import { addTransferCommands } from './transfer-commands.ts';

export interface CommandLine {
  /** Arguments after the command's own name. */
  readonly args: readonly string[];
  /** File of the command, to start it again as a child. */
  readonly entry: string;
}

/** Runs one command and resolves with its exit code. */
export async function runCommandLine(line: CommandLine, terminal: Terminal): Promise<number> {
  let code: number = EXIT.clean;
  const program = createProgram(line, terminal, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...line.args], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.clean : EXIT.usage;
  }
}

function createProgram(
  line: CommandLine,
  terminal: Terminal,
  finish: (code: number) => void,
): Command {
  const program = new Command('millrace');
  program
    .description('Caching-first edge data delivery node')
    .version(version(), '-v, --version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
    .showSuggestionAfterError();
  nodeCommand(program, 'dev', 'run an application, and again when it changes')
    .option('--tls', 'serve over TLS, with a certificate that is made for this machine')
    .action(async (folder: string, options: DevFlags) => {
      const { tls, ...flags } = options;
      const { dev } = await import('./dev.ts');
      const appFolder = resolved(folder, terminal);
      const all = tls === true ? { ...flags, ...(await ownCertificate(appFolder)) } : flags;
      finish(await dev({ entry: line.entry, appFolder, flags: flagArguments(all) }, terminal));
    });
  nodeCommand(program, 'start', 'run an application')
    .option('--supervise', 'restart the node when it crashes')
    .addOption(new Option('--dev').hideHelp())
    .action(async (folder: string, flags: FlagValues) =>
      finish(await startCommand(folder, flags, line, terminal)),
    );
  program
    .command('check')
    .description('say what is wrong with an application, without starting it')
    .argument('[app]', 'folder of the application', '.')
    .option('--types', 'also write millrace-env.d.ts, which tells an editor the tables')
    .action(async (folder: string, options: { readonly types?: boolean }) => {
      const { check } = await import('./check.ts');
      finish(await check(resolved(folder, terminal), terminal, options));
    });
  addTransferCommands(program, terminal, finish);
  addOperateCommands(program, terminal, finish);
  addIdentityCommands(program, terminal, finish);
  addClusterCommands(program, terminal, finish);
  program
    .command('version')
    .description('print the version')
    .action(() => terminal.out(version()));
  return program;
}

type DevFlags = { readonly tls?: true } & { readonly [flag: string]: string | undefined };

async function ownCertificate(appFolder: string): Promise<FlagValues> {
  const { devCertificate } = await import('./dev-certificate.ts');
  const { cert, key } = devCertificate(appFolder, Date.now());
  return { tlsCert: cert, tlsKey: key };
}

function nodeCommand(program: Command, name: string, description: string): Command {
  const command = program
    .command(name)
    .description(description)
    .argument('[app]', 'folder of the application', '.');
  for (const flag of FLAGS) {
    const option = new Option(`--${flag.name} <${flag.argument}>`, describe(flag));
    if (flag.repeatable === true) {
      option.argParser((value: string, before: readonly string[] = []) => [...before, value]);
    }
    command.addOption(option);
  }
  return command;
}

const describe = (flag: (typeof FLAGS)[number]): string =>
  flag.env === undefined ? flag.description : `${flag.description} (${flag.env})`;

async function startCommand(
  folder: string,
  flags: FlagValues,
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  const appFolder = resolved(folder, terminal);
  const { supervise: supervised, dev } = flags as { supervise?: boolean; dev?: boolean };
  if (supervised === true) {
    const { supervise } = await import('./supervise.ts');
    return supervise(line.entry, ['start', appFolder, ...flagArguments(flags)], terminal);
  }
  // Before the import: that is when native code is loaded.
  if (!(await isNativeSound(terminal))) return EXIT.fault;
  const { start } = await import('./start.ts');
  return start({ appFolder, flags, dev: dev === true }, terminal);
}

/** Whether the native binaries are those that were published, or are trusted as they are. */
async function isNativeSound(terminal: Terminal): Promise<boolean> {
  const { nativeFaults, nativeProblem } = await import('./native-check.ts');
  if (terminal.env.MILLRACE_TRUST_NATIVE === '1') {
    terminal.err('INSECURE: MILLRACE_TRUST_NATIVE 1: native code is loaded without a look at it');
    return true;
  }
  const problem = nativeProblem(nativeFaults());
  if (problem !== '') terminal.err(`millrace: ${problem}`);
  return problem === '';
}

const resolved = (folder: string, terminal: Terminal): string => path.resolve(terminal.cwd, folder);

/** The flags as they would be typed, for a child. */
function flagArguments(flags: FlagValues): string[] {
  return FLAGS.flatMap((flag) => {
    const value = flags[flag.property];
    const values = value === undefined ? [] : Array.isArray(value) ? value : [value];
    return values.flatMap((one) => [`--${flag.name}`, String(one)]);
  });
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
