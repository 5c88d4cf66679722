/**
 * `millrace import`: the rows of a file into a table of a running node, in parts that end where a
 * row ends, so that neither memory nor what is to be repeated after a failure grows with the file.
 * Rows that fail are named with file, line, attribute, value and cure.
 */
import { createReadStream, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { LIMITS } from '../config/limits.ts';
import { type Line, LineSplitter } from '../protocols/rest/formats/split-lines.ts';
import type { RowError, RowsWritten } from '../table/write-rows.ts';
import { JsonElements } from './json-elements.ts';
import { ask, formatOf, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';
import { type ImportFlags, TRANSFER_TYPES, type TransferFormat } from './transfer-flags.ts';

const PART_BYTES = 4 * 1024 * 1024;
const NEWLINE = Buffer.from('\n');

/** A part of the file: whole rows, and the line of the file at which each begins. */
interface Part {
  readonly body: Uint8Array;
  readonly lines: readonly number[];
  /** Bytes of the file up to its end. */
  readonly read: number;
}

interface Counts {
  written: number;
  failed: number;
  readonly errors: RowError[];
}

/** Resolves with the exit code: 0, 1 when a row failed or the node did, 2 for wrong usage. */
export async function importRows(
  table: string,
  file: string,
  flags: ImportFlags,
  terminal: Terminal,
): Promise<number> {
  const counts: Counts = { written: 0, failed: 0, errors: [] };
  const startedAt = performance.now();
  const name = file === '-' ? 'standard input' : file;
  let fault: TransferError | undefined;
  try {
    const format = file === '-' ? (flags.format ?? 'ndjson') : formatOf(flags, file);
    const { source, size } = open(file, terminal);
    for await (const part of partsOf(source, format)) {
      const isOver = await send(table, part, format, flags, terminal, counts);
      terminal.progress?.(progressText(counts, startedAt, part.read, size));
      if (isOver) break;
    }
  } catch (error) {
    if (!(error instanceof TransferError) && !isFileError(error)) throw error;
    fault = error instanceof TransferError ? error : new TransferError(error.message);
  }
  terminal.progress?.('');
  report(table, name, flags, terminal, counts, (performance.now() - startedAt) / 1000);
  if (fault !== undefined) terminal.err(`${name}: ${fault.message}`);
  if (fault?.isUsage === true) return EXIT.usage;
  return fault === undefined && counts.failed === 0 ? EXIT.clean : EXIT.fault;
}

const isFileError = (error: unknown): error is Error =>
  error instanceof Error && 'syscall' in error;

function open(file: string, { cwd, input }: Terminal) {
  if (file === '-') {
    if (input === undefined) throw new TransferError('there is no standard input here');
    return { source: input, size: undefined };
  }
  const found = path.resolve(cwd, file);
  if (!existsSync(found) || !statSync(found).isFile()) {
    throw new TransferError('there is no such file', { isUsage: true });
  }
  return { source: createReadStream(found), size: statSync(found).size };
}

async function* partsOf(
  source: AsyncIterable<Uint8Array | string>,
  format: TransferFormat,
): AsyncGenerator<Part> {
  const bytesMax = LIMITS.requestBodyBytesMax;
  const rows =
    format === 'json'
      ? new JsonElements(bytesMax)
      : new LineSplitter({ quotes: format === 'csv', bytesMax });
  let names: Line | undefined;
  let part: Line[] = [];
  let bytes = 0;
  let read = 0;
  const take = (lines: readonly Line[]) => {
    for (const line of lines) {
      if (format === 'csv' && names === undefined) names = copied(line);
      else part.push(copied(line));
      bytes += line.bytes.length;
    }
  };
  const cut = (): Part => {
    const all = names === undefined ? part : [names, ...part];
    const body = Buffer.concat(all.flatMap((line) => [line.bytes, NEWLINE]));
    const lines = part.map(({ line }) => line);
    part = [];
    bytes = 0;
    return { body, lines, read };
  };
  for await (const piece of source) {
    read += piece.length;
    take(rows.push(typeof piece === 'string' ? Buffer.from(piece) : piece));
    if (bytes >= PART_BYTES) yield cut();
  }
  take(rows.end());
  if (part.length > 0) yield cut();
}

/** A line is a view of a piece, which would be kept with it. */
const copied = ({ bytes, line }: Line): Line => ({ bytes: Uint8Array.from(bytes), line });

/** Writes a part; true when the import is over because a row failed. */
async function send(
  table: string,
  part: Part,
  format: TransferFormat,
  flags: ImportFlags,
  terminal: Terminal,
  counts: Counts,
): Promise<boolean> {
  const onError = flags.continueOnError === true ? 'continue' : 'stop';
  const response = await ask(flags, terminal.env, {
    method: 'PUT',
    target: `/${encodeURIComponent(table)}/?onError=${onError}`,
    headers: {
      'content-type': TRANSFER_TYPES[format === 'json' ? 'ndjson' : format],
      'content-length': String(part.body.length),
    },
    body: part.body,
  });
  const answer = (await json(response).catch(() => ({}))) as Partial<RowsWritten> & {
    readonly detail?: string;
  };
  counts.written += answer.written ?? 0;
  counts.failed += answer.failed ?? 0;
  for (const error of answer.errors ?? []) {
    if (counts.errors.length === LIMITS.uploadErrorsMax) break;
    counts.errors.push({ ...error, line: part.lines[error.row - 1] ?? error.line });
  }
  if (response.statusCode === 200) return false;
  if ((answer.failed ?? 0) > 0) return true;
  const why = answer.detail ?? 'no reason was given';
  throw new TransferError(`the node answered ${response.statusCode}: ${why}`);
}

function progressText(counts: Counts, startedAt: number, read: number, size?: number): string {
  const rows = counts.written + counts.failed;
  const rate = Math.round((rows / (performance.now() - startedAt)) * 1000);
  const share = size === undefined || size === 0 ? '' : ` ${Math.floor((read / size) * 100)} %`;
  return `${rows} rows, ${rate} rows/s${share}`;
}

function report(
  table: string,
  file: string,
  flags: ImportFlags,
  terminal: Terminal,
  { written, failed, errors }: Counts,
  seconds: number,
): void {
  if (flags.json === true) {
    terminal.out(JSON.stringify({ table, written, failed, errors, seconds }));
    return;
  }
  for (const error of errors) {
    terminal.err(`${file}:${error.line}: ${error.problem}; ${cure(error)}`);
  }
  if (failed > errors.length) terminal.err(`${file}: ${failed - errors.length} more rows failed`);
  terminal.out(`${written} rows written to ${table}, ${failed} failed, ${seconds.toFixed(1)} s`);
}

function cure({ attribute, problem }: RowError): string {
  if (problem.includes('expected') && attribute !== undefined) {
    return `mend ${attribute} in this line, or its type in schema.graphql`;
  }
  if (problem.includes('brings its key')) return `give the row its ${attribute ?? 'key'}`;
  return 'mend this line; --continue-on-error leaves such rows out';
}
