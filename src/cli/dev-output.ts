/**
 * What `millrace dev` says to a person: where things are, and each request's verdict in one line.
 */
import pc from 'picocolors';
import type { Application } from '../config/application.ts';
import type { Config } from '../config/config.ts';
import type { RunningNode } from '../node.ts';
import type { VerdictLine } from '../protocols/rest/resource.ts';
import type { Terminal } from './terminal.ts';

/** `GET /Airport/SFO 200 hit ttl=42 0.1 ms` */
export function verdictLine(line: VerdictLine): string {
  const { method, path, status, cacheStatus, durationMs } = line;
  const verdict = cacheStatus.replace(/^millrace; ?/, '');
  const paint = verdict.startsWith('hit')
    ? pc.green
    : verdict.includes('stale')
      ? pc.yellow
      : pc.cyan;
  const shown = status >= 500 ? pc.red(String(status)) : String(status);
  return `${method} ${path} ${shown} ${paint(verdict)} ${pc.dim(`${durationMs.toFixed(1)} ms`)}`;
}

export function devBanner(
  config: Config,
  node: RunningNode,
  application: Application,
  env: Terminal['env'],
): string {
  const http = `http://${config.host}:${node.httpPort}`;
  const exported = application.schema.tables.flatMap((table) =>
    table.export === undefined ? [] : [`/${table.export.name}/`],
  );
  const user = `${env.MILLRACE_ADMIN_USERNAME}:${env.MILLRACE_ADMIN_PASSWORD}`;
  return [
    '',
    `  ${pc.bold('millrace')} serves ${pc.cyan(http)}`,
    exported.length === 0
      ? '  no tables yet: declare one in schema.graphql (see docs/getting-started.md)'
      : `  tables  ${exported.join('  ')}`,
    `  admin   ${pc.cyan(`http://${config.admin.host}:${node.adminPort}`)}  (${user})`,
    '',
  ].join('\n');
}
