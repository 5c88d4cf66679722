/**
 * The commands `import` and `export` as the command line knows them: their arguments, flags and
 * defaults. What they do is loaded when they are called.
 */
import { type Command, Option } from 'commander';
import type { Terminal } from './terminal.ts';
import { type ExportFlags, type ImportFlags, TRANSFER_TYPES } from './transfer-flags.ts';

export function addTransferCommands(
  program: Command,
  terminal: Terminal,
  finish: (code: number) => void,
): void {
  remoteCommand(program, 'import', 'write the rows of a file into a table of a running node')
    .argument('<file>', 'CSV, NDJSON or a JSON array; - reads standard input')
    .option('--continue-on-error', 'leave out rows that fail, instead of stopping at the first')
    .option('--json', 'print the counts and errors as JSON')
    .action(async (table: string, file: string, flags: ImportFlags) => {
      const { importRows } = await import('./import-rows.ts');
      finish(await importRows(table, file, flags, terminal));
    });
  remoteCommand(program, 'export', 'read the rows of a table from a running node')
    .option('--query <query>', 'only these rows, as in the URL: airport=SFO', '')
    .option('--out <file>', 'file to write; standard output otherwise')
    .action(async (table: string, flags: ExportFlags) => {
      const { exportRows } = await import('./export-rows.ts');
      finish(await exportRows(table, flags, terminal));
    });
}

function remoteCommand(program: Command, name: string, description: string): Command {
  const formats = Object.keys(TRANSFER_TYPES);
  return program
    .command(name)
    .description(description)
    .argument('<table>', 'name of the table in URLs')
    .addOption(
      new Option('--format <format>', 'by the name of the file unless given').choices(formats),
    )
    .option('--url <url>', 'address of the node', 'http://127.0.0.1:9926')
    .option('--username <name>', 'who asks (MILLRACE_ADMIN_USERNAME)')
    .option('--password <password>', 'and how it is proved (MILLRACE_ADMIN_PASSWORD)');
}
