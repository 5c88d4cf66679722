/**
 * `millrace export`: the rows of a table of a running node into a file or standard output, as they
 * come. The table is read in pages by cursor, so that no answer is cut off at its greatest length;
 * rows written meanwhile may be in it or not.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { type Line, LineSplitter } from '../protocols/rest/formats/split-lines.ts';
import { ask, formatOf, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';
import { type ExportFlags, TRANSFER_TYPES, type TransferFormat } from './transfer-flags.ts';

const PAGE_ROWS = 5_000;
const LINE_BYTES_MAX = 64 * 1024 * 1024;

/** Resolves with the exit code: 0, 1 when the node failed, 2 for wrong usage. */
export async function exportRows(
  table: string,
  flags: ExportFlags,
  terminal: Terminal,
): Promise<number> {
  const startedAt = performance.now();
  try {
    const format =
      flags.out === undefined ? (flags.format ?? 'ndjson') : formatOf(flags, flags.out);
    const output = openOutput(flags, terminal);
    const rows = new RowOutput(output, format, flags.out !== undefined);
    const path = `/${encodeURIComponent(table)}/?`;
    const query = flags.query === undefined || flags.query === '' ? '' : `${flags.query}&`;
    let target: string | undefined = `${path}${query}limit(${PAGE_ROWS})&after()`;
    while (target !== undefined) {
      const response = await page(flags, terminal, target, format);
      await rows.take(response);
      terminal.progress?.(`${rows.count} rows`);
      target = nextOf(response, path);
    }
    await rows.end();
    const seconds = (performance.now() - startedAt) / 1000;
    terminal.progress?.('');
    terminal.err(`${rows.count} rows read from ${table}, ${seconds.toFixed(1)} s`);
    return EXIT.clean;
  } catch (error) {
    const isKnown =
      error instanceof TransferError || (error instanceof Error && 'syscall' in error);
    if (!isKnown) throw error;
    terminal.err(`${table}: ${error.message}`);
    return error instanceof TransferError && error.isUsage ? EXIT.usage : EXIT.fault;
  }
}

function openOutput({ out }: ExportFlags, { cwd, output }: Terminal): NodeJS.WritableStream {
  if (out !== undefined) return createWriteStream(path.resolve(cwd, out));
  if (output !== undefined) return output;
  throw new TransferError('there is no standard output here; give --out', { isUsage: true });
}

async function page(
  flags: ExportFlags,
  terminal: Terminal,
  target: string,
  format: TransferFormat,
): Promise<IncomingMessage> {
  const accept = TRANSFER_TYPES[format === 'json' ? 'ndjson' : format];
  const response = await ask(flags, terminal.env, { method: 'GET', target, headers: { accept } });
  if (response.statusCode === 200) return response;
  const { detail } = (await json(response).catch(() => ({}))) as { readonly detail?: string };
  const why = detail ?? 'no reason was given';
  throw new TransferError(`the node answered ${response.statusCode}: ${why}`);
}

/** [RFC8288] The one link that a page has leads to the next. */
function nextOf({ headers }: IncomingMessage, base: string): string | undefined {
  const target = /<([^>]*)>;\s*rel="?next/.exec(String(headers.link ?? ''))?.[1];
  if (target === undefined) return undefined;
  return target.startsWith('?') ? base.slice(0, -1) + target : target;
}

/** Writes the rows of all pages as one body. */
class RowOutput {
  count = 0;
  readonly #output: NodeJS.WritableStream;
  readonly #format: TransferFormat;
  /** Standard output stays open. */
  readonly #closes: boolean;
  #hasNames = false;
  #fault: Error | undefined;

  constructor(output: NodeJS.WritableStream, format: TransferFormat, closes: boolean) {
    this.#closes = closes;
    this.#output = output;
    this.#format = format;
    output.on('error', (error: Error) => {
      this.#fault = error;
    });
  }

  async take(response: IncomingMessage): Promise<void> {
    const isCsv = this.#format === 'csv';
    const lines = new LineSplitter({ quotes: isCsv, bytesMax: LINE_BYTES_MAX });
    let isFirst = isCsv;
    const write = async (some: readonly Line[]) => {
      const rows = isFirst && some.length > 0 ? some.slice(1) : some;
      if (rows.length !== some.length) {
        isFirst = false;
        if (!this.#hasNames) await this.#write(`${textOf(some[0])}\r\n`);
        this.#hasNames = true;
      }
      await this.#rows(rows);
    };
    for await (const piece of response) await write(lines.push(piece as Uint8Array));
    await write(lines.end());
  }

  async end(): Promise<void> {
    if (this.#format === 'json') await this.#write(this.count === 0 ? '[]\n' : '\n]\n');
    if (!this.#closes) return;
    const closed = once(this.#output, 'close');
    this.#output.end();
    await closed;
  }

  async #rows(rows: readonly Line[]): Promise<void> {
    let text = '';
    for (const row of rows) {
      const before = this.count === 0 ? '[\n' : ',\n';
      text += this.#format === 'json' ? `${before}${textOf(row)}` : `${textOf(row)}\n`;
      this.count += 1;
    }
    if (text !== '') await this.#write(text);
  }

  async #write(text: string): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#output.write(text)) return;
    await once(this.#output, 'drain');
  }
}

const textOf = (line: Line | undefined): string => Buffer.from(line?.bytes ?? []).toString();
