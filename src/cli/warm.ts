/**
 * `millrace warm`: asks a node for every page of a sitemap (an index of them, compressed or not) or
 * of a list, a few at a time, so that visitors find them stored. Pages are asked for by the host of
 * their URLs at the address of the node. What failed is named, and is the exit code.
 */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { exitCodeOf, printed } from './admin-client.ts';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface WarmFlags {
  readonly url: string;
  readonly concurrency: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly json?: boolean | undefined;
}

const URLS_MAX = 1_000_000;
const SITEMAPS_MAX = 1_000;
const CONCURRENCY_MAX = 256;
const SITEMAP_BYTES_MAX = 64 * 1024 * 1024;
const FAILURES_SHOWN = 20;

interface Tally {
  readonly asked: number;
  readonly hits: number;
  readonly stored: number;
  readonly failed: readonly { readonly url: string; readonly why: string }[];
}

export function warmPages(source: string, flags: WarmFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const concurrency = Number(flags.concurrency);
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > CONCURRENCY_MAX) {
      const message = `--concurrency is a number from 1 to ${CONCURRENCY_MAX}`;
      throw new TransferError(message, { isUsage: true });
    }
    const startedAt = performance.now();
    const urls = await urlsOf(source, flags, terminal);
    const tally = await askForAll(urls, concurrency, flags, terminal);
    terminal.progress?.('');
    const seconds = (performance.now() - startedAt) / 1000;
    if (flags.json === true) terminal.out(printed({ ...tally, seconds }));
    else for (const line of summary(tally, seconds)) terminal.out(line);
    return tally.failed.length === 0 ? EXIT.clean : EXIT.fault;
  });
}

function summary({ asked, hits, stored, failed }: Tally, seconds: number): string[] {
  const others = asked - hits - stored - failed.length;
  const lines = [
    `${asked} pages in ${seconds.toFixed(1)} s: ${stored} stored, ${hits} were stored already, ` +
      `${others} not storable, ${failed.length} failed`,
    ...failed.slice(0, FAILURES_SHOWN).map(({ url, why }) => `  ${url}: ${why}`),
  ];
  const left = failed.length - FAILURES_SHOWN;
  return left > 0 ? [...lines, `  and ${left} more`] : lines;
}

async function askForAll(
  urls: readonly URL[],
  concurrency: number,
  flags: WarmFlags,
  terminal: Terminal,
): Promise<Tally> {
  const tally = { asked: 0, hits: 0, stored: 0, failed: [] as { url: string; why: string }[] };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let url = urls[next++]; url !== undefined; url = urls[next++]) {
      const told = await warmed(url, flags).catch((error: Error) => error.message);
      tally.asked += 1;
      if (told === 'hit') tally.hits += 1;
      else if (told === 'stored') tally.stored += 1;
      else if (told !== 'other') tally.failed.push({ url: url.href, why: told });
      if (tally.asked % concurrency === 0) {
        terminal.progress?.(`${tally.asked} of ${urls.length} pages`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return tally;
}

/** What became of a page; anything else is why it failed. */
async function warmed(url: URL, flags: WarmFlags): Promise<string> {
  // Behind a proxy that ends TLS the pages of its visitors are those of https.
  const scheme = url.protocol.slice(0, -1);
  const headers = {
    ...{ host: url.host, 'accept-encoding': 'gzip, br', 'x-forwarded-proto': scheme },
  };
  const target = url.pathname + url.search;
  // As a visitor: what is answered to somebody in particular is not stored for others.
  const response = await ask(flags, {}, { method: 'GET', target, headers });
  response.resume();
  await new Promise((resolve, reject) => response.on('end', resolve).on('error', reject));
  const status = response.statusCode ?? 0;
  if (status >= 400) return `the node answered ${status}`;
  const said = String(response.headers['cache-status'] ?? '');
  if (/;\s*hit/.test(said)) return 'hit';
  return /;\s*stored/.test(said) ? 'stored' : 'other';
}

/** All pages that a sitemap or a list names, each once. */
async function urlsOf(source: string, flags: WarmFlags, terminal: Terminal): Promise<URL[]> {
  const found = new Map<string, URL>();
  const sitemaps = [source];
  const seen = new Set(sitemaps);
  for (let place = sitemaps.shift(); place !== undefined; place = sitemaps.shift()) {
    const text = await textAt(place, flags, terminal);
    const named = addressesIn(text);
    const isIndex = /<sitemapindex[\s>]/.test(text);
    for (const address of named) {
      if (!URL.canParse(address)) continue;
      if (!isIndex) found.set(address, new URL(address));
      else if (!seen.has(address) && seen.size < SITEMAPS_MAX) {
        seen.add(address);
        sitemaps.push(address);
      }
    }
    if (found.size > URLS_MAX) {
      throw new TransferError(`${source} names more than ${URLS_MAX} pages: warm it in parts`);
    }
  }
  if (found.size > 0) return [...found.values()];
  const message = `${source} names no page: it is to be a sitemap, or a list with a URL a line`;
  throw new TransferError(message, { isUsage: true });
}

function addressesIn(text: string): string[] {
  if (/<(?:urlset|sitemapindex)[\s>]/.test(text)) {
    return [...text.matchAll(/<loc>\s*([^<]+?)\s*<\/loc>/g)].map(([, loc = '']) => unescaped(loc));
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" },
};
const unescaped = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');

/** A file, or an address that is asked for at the node first of all. */
async function textAt(place: string, flags: WarmFlags, terminal: Terminal): Promise<string> {
  const bytes = /^https?:\/\//i.test(place)
    ? await bytesAt(new URL(place), flags)
    : await readFile(path.resolve(terminal.cwd, place)).catch((error: Error) => {
        throw new TransferError(error.message, { isUsage: true });
      });
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (isGzip ? gunzipSync(bytes, { maxOutputLength: SITEMAP_BYTES_MAX }) : bytes).toString();
}

async function bytesAt(url: URL, flags: WarmFlags): Promise<Buffer> {
  const asked = { method: 'GET', target: url.pathname + url.search } as const;
  const headers = { host: url.host };
  const response: IncomingMessage = await ask(flags, {}, { ...asked, headers });
  const status = response.statusCode ?? 0;
  if (status !== 200) {
    response.resume();
    throw new TransferError(`the node answered ${status} for ${url.href}`);
  }
  return buffer(response);
}
