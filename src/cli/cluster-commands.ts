/**
 * The commands of a cluster, as the command line knows them. `init`, `invite` and `join` work on
 * the data folder of a node, running or not; the others are operations of a running one.
 */
import type { Command } from 'commander';
import type { AdminFlags } from './admin-client.ts';
import { adminCommand } from './admin-command.ts';
import type { FolderFlags, VerifyFlags } from './cluster.ts';
import type { TopFlags } from './cluster-top.ts';
import type { Terminal } from './terminal.ts';

type Finish = (code: number) => void;

export function addClusterCommands(program: Command, terminal: Terminal, finish: Finish): void {
  const cluster = program.command('cluster').description('nodes that hold the same tables');
  ofFolder(cluster, 'init', 'found a cluster: an authority, and a certificate of this node').action(
    async (app: string, flags: FolderFlags) => {
      const { initCluster } = await import('./cluster.ts');
      finish(await initCluster(app, flags, terminal));
    },
  );
  ofFolder(cluster, 'invite', 'make a join token for one more node; where it was founded').action(
    async (app: string, flags: FolderFlags) => {
      const { invite } = await import('./cluster.ts');
      finish(await invite(app, flags, terminal));
    },
  );
  cluster
    .command('join')
    .description('get a certificate for this node from the node that founded the cluster')
    .argument('<url>', 'replication port of the founder, wss://host:9933')
    .argument('<token>', 'a join token of cluster invite')
    .argument('[app]', 'folder of the application', '.')
    .option('--data <dir>', 'folder of the store (MILLRACE_DATA)')
    .option('--node-name <name>', 'name of this node (MILLRACE_NODE_NAME)')
    .action(async (url: string, token: string, app: string, flags: FolderFlags) => {
      const { join } = await import('./cluster.ts');
      finish(await join({ url, token, app }, flags, terminal));
    });
  adminCommand(cluster, 'status', 'say which nodes there are and how far each is').action(
    async (flags: AdminFlags) => {
      const { showCluster } = await import('./cluster.ts');
      finish(await showCluster(flags, terminal));
    },
  );
  adminCommand(cluster, 'top', 'the same again and again, until it is interrupted')
    .option('--every <seconds>', 'between two looks', '2')
    .option('--count <n>', 'end after so many looks')
    .action(async (flags: TopFlags) => {
      const { watchCluster } = await import('./cluster-top.ts');
      finish(await watchCluster(flags, terminal));
    });
  addVerify(adminCommand(cluster, 'verify', COMPARED), terminal, finish);
  addVerify(adminCommand(program, 'verify', COMPARED), terminal, finish).option(
    '--cluster',
    'compare with other nodes (the only comparison there is)',
  );
  adminCommand(cluster, 'leave', 'have this node, or another, leave the cluster for good')
    .option('--node-name <name>', 'the node, when it is not the one that is asked')
    .action(async (flags: AdminFlags & { readonly nodeName?: string }) => {
      const { leaveCluster } = await import('./cluster.ts');
      finish(await leaveCluster(flags, terminal));
    });
}

const COMPARED = 'compare the rows of this node with those of others, and repair what differs';

function addVerify(command: Command, terminal: Terminal, finish: Finish): Command {
  const collect = (value: string, before: readonly string[] = []) => [...before, value];
  return command
    .option('--with <url>', 'admin port of another node to compare with (repeatable)', collect)
    .action(async (flags: VerifyFlags) => {
      const { verifyCluster } = await import('./cluster.ts');
      finish(await verifyCluster(flags, terminal));
    });
}

const ofFolder = (cluster: Command, name: string, description: string): Command =>
  cluster
    .command(name)
    .description(description)
    .argument('[app]', 'folder of the application', '.')
    .option('--data <dir>', 'folder of the store (MILLRACE_DATA)')
    .option('--node-name <name>', 'name of the node (MILLRACE_NODE_NAME)');
