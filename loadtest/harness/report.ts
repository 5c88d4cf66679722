/** The report: one Markdown section a scenario, under a head that says where it was measured. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { type Measured, ratios } from './compare.ts';
import { median, spread } from './statistics.ts';

export interface Verdict {
  readonly target: string;
  readonly result: string;
  readonly met: boolean | undefined;
}

export interface Section {
  readonly title: string;
  /** What was expected before measuring, from a calculation on the back of an envelope. */
  readonly estimate: string;
  readonly table: readonly (readonly string[])[];
  readonly verdicts: readonly Verdict[];
  readonly notes?: readonly string[] | undefined;
}

function versionOf(command: string, args: readonly string[], pattern: RegExp): string {
  try {
    const shell = `${[command, ...args].join(' ')} 2>&1 || true`;
    const output = execFileSync('sh', ['-c', shell], { encoding: 'utf8' });
    return pattern.exec(output)?.[1] ?? 'not installed';
  } catch {
    return 'not installed';
  }
}

function distribution(): string {
  const text = readFileSync('/etc/os-release', 'utf8');
  return /PRETTY_NAME="([^"]*)"/.exec(text)?.[1] ?? 'unknown';
}

/** Machine and versions, as lines of a list. */
export function machineFacts(): readonly string[] {
  const [first] = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const commit = versionOf('git', ['rev-parse', '--short', 'HEAD'], /^([0-9a-f]+)/);
  return [
    `machine: ${cpus().length} x ${first?.model ?? 'unknown'}, ${gibibytes} GiB`,
    `system: ${distribution()}, Linux ${release()}, Node ${process.version}`,
    `commit: ${commit}; ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `wrk ${versionOf('wrk', ['-v'], /wrk\s+(\S+)/)}`,
    `nginx ${versionOf('nginx', ['-v'], /nginx\/(\S+)/)}`,
    `Varnish ${versionOf('varnishd', ['-V'], /varnish-(\S+)/)}`,
  ];
}

/** Rows of a comparison: CPU a request, ratio to ours, rate, latency, memory. */
export function comparisonTable(
  measured: readonly Measured[],
  ours: Measured,
): readonly (readonly string[])[] {
  const head = ['server', 'us CPU/request', 'requests per CPU-s, ours : it'];
  const rows = measured.map((one) => [
    one.name,
    spread(one.samples.map((sample) => sample.cpuMicrosPerRequest)),
    one === ours ? '1' : spread(ratios(ours, one)),
    String(Math.round(median(one.samples.map((sample) => sample.requestsPerSecond)))),
    `${Math.round(median(one.samples.map((sample) => sample.busy)) * 100)} %`,
    spread(one.samples.map((sample) => sample.p50Ms)),
    spread(one.samples.map((sample) => sample.p99Ms)),
    one.residentMegabytes.toFixed(0),
    String(one.samples.reduce((sum, sample) => sum + sample.errors, 0)),
  ]);
  return [[...head, 'requests/s', 'core busy', 'p50 ms', 'p99 ms', 'RSS MB', 'errors'], ...rows];
}

function tableLines(table: readonly (readonly string[])[]): readonly string[] {
  const [head = [], ...rows] = table;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
}

export function sectionText(section: Section): string {
  const verdicts = section.verdicts.map(({ target, result, met }) => {
    const word = met === undefined ? 'not judged' : met ? 'met' : '**missed**';
    return `- ${target}: ${result} (${word})`;
  });
  return [
    `## ${section.title}`,
    '',
    `Expected: ${section.estimate}`,
    '',
    ...(section.table.length === 0 ? [] : [...tableLines(section.table), '']),
    ...verdicts,
    ...(section.notes ?? []).map((note) => `- ${note}`),
    '',
  ].join('\n');
}

/** Sections of an earlier report that this run did not measure stay, with their own head. */
export function mergeReport(
  previous: string,
  sections: readonly Section[],
  how: readonly string[],
): string {
  const head = [
    '# Load test report',
    '',
    'Written by `npm run loadtest`; see `loadtest/README.md` for what is measured and how.',
    'Absolute times are those of one machine on one day: read the ratios.',
    '',
  ].join('\n');
  const facts = [...machineFacts(), ...how].map((fact) => `_${fact}_`).join('  \n');
  const fresh = new Map(sections.map((one) => [one.title, `${sectionText(one)}\n${facts}\n`]));
  const kept = previous.split(/^(?=## )/m).slice(1);
  const old = new Map(kept.map((text) => [/^## (.*)$/m.exec(text)?.[1] ?? '', text.trimEnd()]));
  const all = new Map([...old, ...fresh]);
  return `${head}\n${[...all.values()].map((text) => text.trimEnd()).join('\n\n')}\n`;
}
