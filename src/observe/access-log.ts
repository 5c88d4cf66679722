/**
 * The access log: a line a request, in the combined format or as JSON, gathered and written a few
 * times a second. Every thread appends whole lines to the same file. What cannot be written in time
 * is dropped beyond a bound and counted. What a client sends cannot begin a line or leave its
 * field; values of parameters that look like credentials are left out.
 */
import { closeSync, openSync, write, writeSync } from 'node:fs';
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';

export interface AccessLine {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly host: string | undefined;
  readonly client: string;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
  readonly principal: string | undefined;
  readonly requestId: string;
  readonly fetchId: string | undefined;
  readonly status: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly verdict: string | undefined;
}

export type AccessFormat = 'combined' | 'json';

const FLUSH_EVERY = durationMs(200);
const STDOUT = 1;

export class AccessLog {
  readonly #place: string;
  readonly #format: AccessFormat;
  readonly #clock: Clock;
  #file: number;
  #lines: string[] = [];
  #chars = 0;
  #isWriting = false;
  #isScheduled = false;
  dropped = 0;

  /** `place`: an absolute path, or `-` for standard output. Throws when it cannot be opened. */
  constructor(place: string, format: AccessFormat, clock: Clock) {
    this.#place = place;
    this.#format = format;
    this.#clock = clock;
    this.#file = opened(place);
  }

  add(line: AccessLine): void {
    if (this.#chars > LIMITS.accessLogCharsMax) {
      this.dropped += 1;
      return;
    }
    const text =
      this.#format === 'json' ? jsonLine(line, this.#clock) : combinedLine(line, this.#clock);
    this.#lines.push(text);
    this.#chars += text.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#clock.after(FLUSH_EVERY, () => this.flush());
  }

  flush(): void {
    this.#isScheduled = false;
    if (this.#isWriting || this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.#chars = 0;
    this.#isWriting = true;
    write(this.#file, bytes, 0, bytes.length, null, (error) => {
      this.#isWriting = false;
      if (error !== null) this.dropped += 1;
      this.flush();
    });
  }

  /** Writes what is left; the last thing that is done. */
  close(): void {
    if (this.#lines.length === 0) return;
    try {
      writeSync(this.#file, this.#lines.join(''));
    } catch {
      this.dropped += this.#lines.length;
    }
    this.#lines = [];
  }

  /** Goes on in a new file of the same name: the old one was moved away. */
  reopen(): void {
    if (this.#place === '-') return;
    const old = this.#file;
    try {
      this.#file = opened(this.#place);
    } catch {
      return;
    }
    // A write under way still has the old one.
    this.#clock.after(FLUSH_EVERY, () => closeSync(old));
  }
}

const opened = (place: string): number => (place === '-' ? STDOUT : openSync(place, 'a', 0o640));

const SECRET = /token|secret|passw|pwd|key|sign|auth|session|credential|jwt|code/i;

/** A query with the values of what looks like a credential left out. */
export function redacted(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=');
      const name = equals < 0 ? part : part.slice(0, equals);
      return equals >= 0 && SECRET.test(name) ? `${name}=-` : part;
    })
    .join('&');
}

/** A URL without its query's credentials and its user's password. */
function redactedUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const plain = url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
  const mark = plain.indexOf('?');
  return mark < 0 ? plain : `${plain.slice(0, mark + 1)}${redacted(plain.slice(mark + 1))}`;
}

const targetOf = ({ path, query }: AccessLine): string =>
  query === '' ? path : `${path}?${redacted(query)}`;

function jsonLine(line: AccessLine, clock: Clock): string {
  const { query: _query, path: _path, ...facts } = line;
  const at = new Date(clock.now()).toISOString();
  const url = targetOf(line);
  const ms = Math.round(line.durationMs * 1000) / 1000;
  const referer = redactedUrl(line.referer);
  return `${JSON.stringify({ at, url, ...facts, referer, durationMs: ms })}\n`;
}

/** As Apache's, and behind it the verdict, milliseconds, the request id and the host. */
function combinedLine(line: AccessLine, clock: Clock): string {
  const { client, principal, method, status, bytes, userAgent, verdict, requestId, host } = line;
  const request = `${method} ${targetOf(line)} HTTP/1.1`;
  const referer = redactedUrl(line.referer);
  const fields = [
    ...[client, '-', bare(principal), `[${commonDate(clock.now())}]`, quoted(request)],
    ...[String(status), String(bytes), quoted(referer), quoted(userAgent)],
    ...[quoted(verdict), line.durationMs.toFixed(3), requestId, bare(host)],
  ];
  return `${fields.join(' ')}\n`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function commonDate(now: number): string {
  const [date = '', time = ''] = new Date(now).toISOString().split('T');
  const [year, month, day] = date.split('-');
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}

/** Control characters, quotes and backslashes as `\xHH`: a value stays within its quotes. */
const escaped = (text: string): string =>
  text.replace(
    /[\x00-\x1f"\\\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

const quoted = (text: string | undefined): string =>
  `"${text === undefined ? '-' : escaped(text)}"`;

const bare = (text: string | undefined): string =>
  text === undefined || text === '' ? '-' : escaped(text).replaceAll(' ', '%20');
