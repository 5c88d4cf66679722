/**
 * `millrace cluster top`: the nodes of a cluster as one of them sees them, looked at again and
 * again. On a terminal each look replaces the one before it; into a file or pipe they follow one
 * another. A node that does not answer is asked on: that is what one wants to see end.
 */
import { setTimeout as later } from 'node:timers/promises';
import { type AdminFlags, exitCodeOf, operate } from './admin-client.ts';
import { TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface TopFlags extends AdminFlags {
  /** Seconds between looks. */
  readonly every: string;
  /** Looks before it ends; without it there is no end. */
  readonly count?: string | undefined;
}

/** What `cluster_status` says of a node. */
export interface NodeSeen {
  readonly name: string;
  readonly state: string;
  readonly behind?: number | undefined;
  readonly lagSeconds?: number | undefined;
  readonly unconfirmed?: number | undefined;
  readonly clock_offset_ms?: number | undefined;
  readonly last_heard_ms_ago?: number | undefined;
  readonly problem?: string | undefined;
}

interface ClusterSeen {
  readonly is_enabled?: boolean | undefined;
  readonly node_name?: string | undefined;
  readonly status?: string | undefined;
  readonly sequence?: number | undefined;
  readonly connections?: readonly NodeSeen[] | undefined;
}

interface Look {
  readonly cluster: ClusterSeen;
  /** Milliseconds, of any clock that goes steadily. */
  readonly at: number;
}

const SECONDS_MAX = 3_600;
/** Puts the cursor at the top and wipes what is below it [ECMA-48 CUP, ED]. */
const WIPE = '\u001b[H\u001b[J';

export const watchCluster = (flags: TopFlags, terminal: Terminal): Promise<number> =>
  exitCodeOf(terminal, async () => {
    const pauseMs = numberOf('--every', flags.every, SECONDS_MAX) * 1_000;
    const count = flags.count === undefined ? Infinity : numberOf('--count', flags.count, Infinity);
    let before: Look | undefined;
    for (let look = 1; ; look += 1) {
      const now = await lookAt(flags, terminal, look === 1);
      if (now !== undefined) {
        if (flags.json === true) terminal.out(JSON.stringify(now.cluster));
        else for (const line of screenOf(now, before, terminal)) terminal.out(line);
        before = now;
      }
      if (look >= count) return EXIT.clean;
      await later(pauseMs);
    }
  });

async function lookAt(
  flags: TopFlags,
  terminal: Terminal,
  isFirst: boolean,
): Promise<Look | undefined> {
  try {
    const cluster: ClusterSeen = await operate(flags, terminal, { operation: 'cluster_status' });
    if (cluster.is_enabled !== true) {
      const message = 'this node is in no cluster; start it with --node-name and --peer or --nats';
      throw new TransferError(message, { isUsage: true });
    }
    return { cluster, at: performance.now() };
  } catch (error) {
    if (isFirst || !(error instanceof TransferError) || error.isUsage) throw error;
    terminal.err(`${error.message}; asking again`);
    return undefined;
  }
}

const HEAD = ['NODE', 'STATE', 'BEHIND', 'LAG s', 'UNCONFIRMED', 'CLOCK ms', 'HEARD ms', 'PROBLEM'];

/** The lines of one look; how many changes come is known from the second look on. */
function screenOf(now: Look, before: Look | undefined, terminal: Terminal): string[] {
  const { node_name: name = '', status = '', sequence = 0, connections = [] } = now.cluster;
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000;
  const written = sequence - (before?.cluster.sequence ?? sequence);
  const rate = seconds > 0 ? `, ${Math.round(written / seconds)} changes/s` : '';
  const rows = connections.map((node) => [
    node.name,
    node.state,
    ...[node.behind, node.lagSeconds, node.unconfirmed, node.clock_offset_ms].map(shown),
    shown(node.last_heard_ms_ago),
    node.problem ?? '',
  ]);
  const wipe = terminal.isWatched ? WIPE : '';
  return [`${wipe}${name}: ${status}, at ${sequence}${rate}`, ...columns([HEAD, ...rows])];
}

const shown = (value: number | undefined): string => (value === undefined ? '-' : String(value));

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function numberOf(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= most) return value;
  const bound = most === Infinity ? 'a number above 0' : `a number above 0, up to ${most}`;
  throw new TransferError(`${flag} ${text}: it is to be ${bound}`, { isUsage: true });
}
