/**
 * Content codings of answers (RFC 9110 §8.4.1): what can be offered, and how bytes are compressed
 * at a level meant for run time. zstd is there where Node has it.
 */

import type { Transform } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';

export type Coding = 'br' | 'zstd' | 'gzip';

/** What newer versions of Node add to zlib. */
interface Zstd {
  readonly zstdCompress?: typeof zlib.gzip | undefined;
  readonly createZstdCompress?: (() => Transform) | undefined;
}

const zstd: Zstd = zlib as Zstd;
export const HAS_ZSTD = zstd.zstdCompress !== undefined && zstd.createZstdCompress !== undefined;

/** Quality 11 costs milliseconds a kilobyte; 5 costs tens of microseconds. */
const BROTLI = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } };
const GZIP = { level: 6 };

const brotli = promisify<Uint8Array, zlib.BrotliOptions, Buffer>(zlib.brotliCompress);
const gzip = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gzip);
const zstandard = promisify<Uint8Array, Buffer>(zstd.zstdCompress ?? zlib.gzip);

/** Compresses off the thread; rejects only when memory is short. */
export function compress(coding: Coding, bytes: Uint8Array): Promise<Uint8Array> {
  switch (coding) {
    case 'br':
      return brotli(bytes, BROTLI);
    case 'gzip':
      return gzip(bytes, GZIP);
    case 'zstd':
      return zstandard(bytes);
  }
}

export function createCompressor(coding: Coding): Transform {
  switch (coding) {
    case 'br':
      return zlib.createBrotliCompress(BROTLI);
    case 'gzip':
      return zlib.createGzip(GZIP);
    case 'zstd':
      return zstd.createZstdCompress?.() ?? zlib.createGzip(GZIP);
  }
}
