/**
 * The commands over a running node, and `init`, as the command line knows them: their arguments,
 * flags and defaults. What they do is loaded when they are called.
 */
import type { Command } from 'commander';
import type { AdminFlags } from './admin-client.ts';
import { adminCommand } from './admin-command.ts';
import type { AuditFlags } from './audit-command.ts';
import type { RestoreFlags } from './backup-commands.ts';
import type { PurgeFlags } from './cache-commands.ts';
import type { GetFlags } from './get.ts';
import type { TailFlags } from './tail.ts';
import type { Terminal } from './terminal.ts';
import type { WarmFlags } from './warm.ts';

type Finish = (code: number) => void;

export function addOperateCommands(program: Command, terminal: Terminal, finish: Finish): void {
  adminCommand(program, 'status', 'say how a running node, its tables and its origins are').action(
    async (flags: AdminFlags) => {
      const { showStatus } = await import('./cache-commands.ts');
      finish(await showStatus(flags, terminal));
    },
  );
  addPurge(program, terminal, finish);
  adminCommand(program, 'inspect', 'say what is stored of a record or page, and why it is used')
    .argument('<what>', 'Table/key, or the URL of a page')
    .action(async (what: string, flags: AdminFlags) => {
      const { inspectEntry } = await import('./inspect.ts');
      finish(await inspectEntry(what, flags, terminal));
    });
  adminCommand(program, 'reload', 'have a running node take over its changed files')
    .option('--dry-run', 'only say what would change')
    .action(async (flags: AdminFlags & { readonly dryRun?: boolean }) => {
      const { reloadNode } = await import('./cache-commands.ts');
      finish(await reloadNode(flags, terminal));
    });
  adminCommand(program, 'audit', 'print the audit log, a line of JSON for each event')
    .option('--kind <kind>', 'such as signedIn, signInRefused, refused, grantChanged, purged')
    .option('--by <name>', 'whose doing it was')
    .option('--since <date>', 'not before, such as 2026-05-01T12:00:00Z')
    .option('--until <date>', 'before')
    .action(async (flags: AuditFlags) => {
      const { printAudit } = await import('./audit-command.ts');
      finish(await printAudit(flags, terminal));
    });
  addBackup(program, terminal, finish);
  addReading(program, terminal, finish);
}

function addBackup(program: Command, terminal: Terminal, finish: Finish): void {
  adminCommand(program, 'backup', 'have a running node write a backup, while it goes on')
    .argument('<folder>', "a new or empty folder, of the node's own machine")
    .action(async (folder: string, flags: AdminFlags) => {
      const { backUpNode } = await import('./backup-commands.ts');
      finish(await backUpNode(folder, flags, terminal));
    });
  program
    .command('restore')
    .description('make the data folder of a node, which does not run, from a backup')
    .argument('<backup>', 'folder of the backup')
    .argument('[app]', 'folder of the application', '.')
    .option('--data <dir>', 'folder of the store, where the application says no other')
    .option('--check', 'only check the backup, every byte')
    .option('--json', 'print the report as JSON')
    .action(async (backup: string, app: string, flags: RestoreFlags) => {
      const { restoreNode } = await import('./backup-commands.ts');
      finish(await restoreNode(backup, app, flags, terminal));
    });
}

function addPurge(program: Command, terminal: Terminal, finish: Finish): void {
  const collect = (value: string, before: readonly string[] = []) => [...before, value];
  adminCommand(program, 'purge', 'have stored records or pages not used any more')
    .option('--table <name>', 'in this table; where it can be left out, in all')
    .option('--key <key>', 'a record or page by its key (repeatable)', collect)
    .option('--page <url>', 'a page by its URL (repeatable)', collect)
    .option('--prefix <prefix>', 'everything whose key, or URL, begins so')
    .option('--host <host>', 'all pages of a host')
    .option('--group <group>', 'what belongs to a group (repeatable)', collect)
    .option('--query <query>', 'what a query finds, as in the URL: status=404')
    .option('--all', 'all of the table')
    .option('--soft', 'make it stale instead')
    .option('--wait <whom>', 'all: until every node of the cluster has obeyed')
    .action(async (flags: PurgeFlags) => {
      const { purgeCaches } = await import('./cache-commands.ts');
      finish(await purgeCaches(flags, terminal));
    });
}

function addReading(program: Command, terminal: Terminal, finish: Finish): void {
  remote(program.command('get').description('read from a node and explain what its cache did'))
    .argument('<what>', 'Table/key, or a URL')
    .option('--body', 'print the body too')
    .option('--json', 'print the answer as JSON')
    .action(async (what: string, flags: GetFlags) => {
      const { getAnswer } = await import('./get.ts');
      finish(await getAnswer(what, flags, terminal));
    });
  remote(program.command('tail').description('follow a record, a collection or a query'))
    .argument('<resource>', 'Table/key, Table/ or Table/?query')
    .option('--from <position>', 'begin after this position, without what there is now')
    .option('--count <n>', 'end after so many events')
    .option('--json', 'print each event as the JSON it came as')
    .action(async (what: string, flags: TailFlags) => {
      const { tailResource } = await import('./tail.ts');
      finish(await tailResource(what, flags, terminal));
    });
  remote(program.command('warm').description('have a node store the pages of a sitemap or a list'))
    .argument('<source>', 'URL or file: a sitemap, an index of sitemaps, or a URL a line')
    .option('--concurrency <n>', 'pages asked for at a time', '8')
    .option('--json', 'print the summary as JSON')
    .action(async (source: string, flags: WarmFlags) => {
      const { warmPages } = await import('./warm.ts');
      finish(await warmPages(source, flags, terminal));
    });
  program
    .command('init')
    .description('write an application for an origin, from the URL of a sample')
    .argument('<url>', 'URL of a record (JSON) or of a page')
    .argument('[app]', 'folder to write to', '.')
    .action(async (sample: string, folder: string) => {
      const { initApplication } = await import('./init.ts');
      finish(await initApplication(folder, sample, terminal));
    });
}

const remote = (command: Command): Command =>
  command
    .option('--url <url>', 'address of the node', 'http://127.0.0.1:9926')
    .option('--username <name>', 'who asks (MILLRACE_ADMIN_USERNAME)')
    .option('--password <password>', 'and how it is proved (MILLRACE_ADMIN_PASSWORD)');
