/**
 * What the commands of a cluster do: certificates in the data folder of a node, and operations of a
 * running one.
 */
import path from 'node:path';
import { asNodeError, NodeError } from '../base/errors.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { ClusterFolder, readJoinToken } from '../protocols/replication/cluster-folder.ts';
import { joinCluster } from '../protocols/replication/join.ts';
import { formatProblem } from '../schema/problem.ts';
import { type AdminFlags, exitCodeOf, operate, printed } from './admin-client.ts';
import type { NodeSeen } from './cluster-top.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface FolderFlags {
  readonly data?: string | undefined;
  readonly nodeName?: string | undefined;
}

export const initCluster = (app: string, flags: FolderFlags, terminal: Terminal): Promise<number> =>
  onFolder(app, flags, terminal, async (folder, { cluster }) => {
    folder.found(cluster.name, Date.now());
    const token = folder.invite(Date.now());
    terminal.out(`${cluster.name} has founded a cluster. Start it, and on another machine run`);
    terminal.out(`  millrace cluster join wss://THIS-HOST:9933 ${token} --node-name OTHER`);
    terminal.out('The token is good once, for an hour; millrace cluster invite makes others.');
  });

export const invite = (app: string, flags: FolderFlags, terminal: Terminal): Promise<number> =>
  onFolder(app, flags, terminal, async (folder) =>
    terminal.out(folder.invite(Date.now(), flags.nodeName)),
  );

export interface Joining {
  readonly url: string;
  readonly token: string;
  readonly app: string;
}

export const join = (
  { url, token, app }: Joining,
  flags: FolderFlags,
  terminal: Terminal,
): Promise<number> =>
  onFolder(app, flags, terminal, async (folder, { cluster: { name } }) => {
    if (!/^wss?:\/\//.test(url) || !URL.canParse(url)) {
      throw new NodeError('USAGE', `${url} is no URL of a replication port: wss://host:9933`);
    }
    folder.keep(await joinCluster(url, readJoinToken(token), name));
    terminal.out(`${name} has its certificate. Start it with`);
    terminal.out(`  millrace start ${app} --node-name ${name} --peer ${url}`);
  });

async function onFolder(
  app: string,
  flags: FolderFlags,
  terminal: Terminal,
  work: (folder: ClusterFolder, config: Config) => Promise<void>,
): Promise<number> {
  const appFolder = path.resolve(terminal.cwd, app);
  const data = flags.data && path.resolve(terminal.cwd, flags.data);
  const given = { data, nodeName: flags.nodeName };
  const { config, problems } = loadConfig({ appFolder, flags: given, env: terminal.env });
  if (config === undefined) {
    for (const problem of problems) terminal.err(formatProblem(problem));
    return EXIT.usage;
  }
  try {
    await work(new ClusterFolder(config.dataFolder), config);
    return EXIT.clean;
  } catch (error) {
    const { code, message } = asNodeError(error);
    terminal.err(`millrace: ${message}`);
    return code === 'USAGE' ? EXIT.usage : EXIT.fault;
  }
}

export const showCluster = (flags: AdminFlags, terminal: Terminal): Promise<number> =>
  exitCodeOf(terminal, async () => {
    const answer = await operate(flags, terminal, { operation: 'cluster_status' });
    if (flags.json === true) {
      terminal.out(printed(answer));
      return EXIT.clean;
    }
    const nodes = (answer.connections ?? []) as readonly NodeSeen[];
    terminal.out(`node     ${String(answer.node_name)}: ${String(answer.status)}`);
    for (const { name, state, behind = 0, lagSeconds = 0 } of nodes) {
      terminal.out(`peer     ${name}: ${state}, ${behind} changes (${lagSeconds} s) to come`);
    }
    return EXIT.clean;
  });

export interface VerifyFlags extends AdminFlags {
  readonly with?: readonly string[] | undefined;
}

type Digests = Readonly<Record<string, string | null>>;

/** Changes of the last moments are still on their way: what differs is looked at again. */
const LOOKS_MAX = 20;
const LOOK_EVERY_MS = 500;

/** Has the node compare and repair; with the others' addresses, says what is the same then. */
export const verifyCluster = (flags: VerifyFlags, terminal: Terminal): Promise<number> =>
  exitCodeOf(terminal, async () => {
    const asked = await operate(flags, terminal, { operation: 'cluster_verify' });
    const others = (flags.with ?? []).map((url) => ({ ...flags, url }));
    if (others.length === 0) {
      terminal.out(flags.json === true ? printed(asked) : String(asked.message));
      return EXIT.clean;
    }
    let tables = await compared([flags, ...others], terminal);
    for (let look = 1; look < LOOKS_MAX && tables.some(({ isSame }) => !isSame); look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      tables = await compared([flags, ...others], terminal);
    }
    if (flags.json === true) terminal.out(printed({ tables }));
    else
      for (const { table, isSame } of tables)
        terminal.out(`${table}: ${isSame ? 'same' : 'DIFFERS'}`);
    return tables.every(({ isSame }) => isSame) ? EXIT.clean : EXIT.fault;
  });

async function compared(nodes: readonly AdminFlags[], terminal: Terminal) {
  const digests = await Promise.all(
    nodes.map(async (node) => {
      const answer = await operate(node, terminal, { operation: 'cluster_digests' });
      return answer.tables as Digests;
    }),
  );
  const names = new Set(digests.flatMap((each) => Object.keys(each)));
  return [...names].sort().map((table) => ({
    table,
    // A digest that is being rebuilt is not known to be the same.
    isSame: new Set(digests.map((each) => each[table] ?? Symbol(table))).size === 1,
  }));
}

export const leaveCluster = (
  flags: AdminFlags & { readonly nodeName?: string | undefined },
  terminal: Terminal,
): Promise<number> =>
  exitCodeOf(terminal, async () => {
    const document = { operation: 'remove_node', node_name: flags.nodeName };
    const answer = await operate(flags, terminal, document);
    terminal.out(flags.json === true ? printed(answer) : String(answer.message));
    return EXIT.clean;
  });
