/**
 * The commands that look at and steer the caches of a running node: `status`, `purge` and
 * `reload`. Each is one or a few operations, shown for a person or, with `--json`, as the node
 * answered.
 */
import { json } from 'node:stream/consumers';
import { type AdminFlags, type Answer, exitCodeOf, operate, printed } from './admin-client.ts';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

export function showStatus(flags: AdminFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const asked = { method: 'GET', target: '/health/ready', headers: {} } as const;
    const response = await ask(flags, terminal.env, asked);
    const health = (await json(response).catch(() => ({}))) as Answer;
    const caches = await operate(flags, terminal, { operation: 'cache_stats' });
    const origins = await operate(flags, terminal, { operation: 'origin_status' });
    const isWell = response.statusCode === 200;
    if (flags.json === true) terminal.out(printed({ health, caches, origins }));
    else for (const line of statusLines(health, caches, origins)) terminal.out(line);
    return isWell ? EXIT.clean : EXIT.fault;
  });
}

interface TableStats {
  readonly entries: number;
  readonly bytes: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly hitRatio: number | null;
}

interface OriginStats {
  readonly state: string;
  readonly inFlight: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

function statusLines(health: Answer, caches: Answer, origins: Answer): string[] {
  const lines = [`node     ${String(health.status ?? 'unknown')}`];
  const tables = (caches.tables ?? {}) as Readonly<Record<string, TableStats>>;
  for (const [name, { entries, bytes, hitRatio }] of Object.entries(tables)) {
    const ratio = hitRatio === null ? '' : `, ${(hitRatio * 100).toFixed(1)} % hits`;
    lines.push(`table    ${name}: ${entries} entries, ${size(bytes)}${ratio}`);
  }
  const known = (origins.origins ?? {}) as Readonly<Record<string, OriginStats>>;
  for (const [name, { state, inFlight, outcomes }] of Object.entries(known)) {
    const counts = Object.entries(outcomes).map(([outcome, count]) => `${outcome} ${count}`);
    const told = counts.length === 0 ? 'not asked yet' : counts.join(', ');
    lines.push(`origin   ${name}: ${state}, ${inFlight} in flight; ${told}`);
  }
  return lines;
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export interface PurgeFlags extends AdminFlags {
  readonly table?: string | undefined;
  readonly key?: readonly string[] | undefined;
  readonly page?: readonly string[] | undefined;
  readonly prefix?: string | undefined;
  readonly host?: string | undefined;
  readonly group?: readonly string[] | undefined;
  readonly query?: string | undefined;
  readonly all?: boolean | undefined;
  readonly soft?: boolean | undefined;
  readonly wait?: string | undefined;
}

export function purgeCaches(flags: PurgeFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const { table, key: keys, page: urls, prefix, host, group: groups, query, all } = flags;
    const what = { keys, urls, prefix, host, groups, query, all };
    const named = Object.entries(what).filter(([, value]) => value !== undefined);
    if (named.length !== 1) {
      const choice = '--key, --page, --prefix, --host, --group, --query or --all';
      const message = `say what to purge, by one of ${choice}`;
      throw new TransferError(message, { isUsage: true });
    }
    const document = { operation: 'purge', table, ...Object.fromEntries(named) };
    const how = { soft: flags.soft === true, wait: flags.wait };
    const answer = await operate(flags, terminal, { ...document, ...how });
    if (flags.json === true) terminal.out(printed(answer));
    else {
      const tables = answer.table ?? (answer.tables as readonly string[]).join(', ');
      const done = answer.soft === true ? 'made stale' : 'purged';
      terminal.out(`${done} in ${String(tables)}: ${JSON.stringify(answer.purged)}`);
    }
    const missing = (answer.unconfirmed ?? []) as readonly string[];
    if (missing.length === 0) return EXIT.clean;
    terminal.err(`not confirmed by ${missing.join(', ')}: they obey when they are reached again`);
    return EXIT.fault;
  });
}

export function reloadNode(
  flags: AdminFlags & { readonly dryRun?: boolean | undefined },
  terminal: Terminal,
): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const dryRun = flags.dryRun === true;
    const answer = await operate(flags, terminal, { operation: 'reload', dry_run: dryRun });
    const { formatProblem } = await import('../schema/problem.ts');
    const problems = answer.problems as readonly Parameters<typeof formatProblem>[0][];
    if (flags.json === true) terminal.out(printed(answer));
    else {
      for (const problem of problems) terminal.err(formatProblem(problem));
      for (const change of answer.changes as readonly string[]) terminal.out(change);
      for (const reason of answer.restarts as readonly string[]) {
        terminal.out(`needs a restart: ${reason}`);
      }
      terminal.out(String(answer.outcome));
    }
    return answer.outcome === 'refused' ? EXIT.usage : EXIT.clean;
  });
}
