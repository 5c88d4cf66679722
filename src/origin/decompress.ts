/**
 * Undoes one layer of content coding within limits: a body may not grow above the size limit, nor
 * above a ratio of what came over the wire. More than one layer is refused: no honest origin
 * sends it, and each layer multiplies the ratio.
 */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { originError } from './failures.ts';

const decoders = { gzip: promisify(gunzip), br: promisify(brotliDecompress) };

/** What requests offer in `Accept-Encoding`. */
export const ACCEPTED_CODINGS = 'gzip, br';

export interface DecompressionLimits {
  readonly bytesMax: number;
  /** Decoded bytes allowed for each byte received, for bodies above `ratioFloorBytes`. */
  readonly ratioMax: number;
  readonly ratioFloorBytes: number;
}

/** The decoded body; throws `ORIGIN_BODY_TOO_LARGE` or `ORIGIN_BODY_INVALID`. */
export async function decompress(
  origin: string,
  body: Uint8Array,
  contentEncoding: string | undefined,
  limits: DecompressionLimits,
): Promise<Uint8Array> {
  const coding = (contentEncoding ?? '').trim().toLowerCase();
  if (coding === '' || coding === 'identity' || body.byteLength === 0) return body;
  const decode = coding === 'br' ? decoders.br : decoders.gzip;
  if (coding !== 'br' && coding !== 'gzip' && coding !== 'x-gzip')
    throw unknownCoding(origin, coding);
  const byRatio = Math.max(limits.ratioFloorBytes, body.byteLength * limits.ratioMax);
  const maxOutputLength = Math.min(limits.bytesMax, byRatio);
  try {
    return await decode(body, { maxOutputLength });
  } catch (error) {
    throw decodingFailure(origin, coding, maxOutputLength, error);
  }
}

function unknownCoding(origin: string, coding: string): Error {
  return originError(
    'ORIGIN_BODY_INVALID',
    `origin ${origin} sent content-encoding "${coding}"; understood is one of ${ACCEPTED_CODINGS}`,
    { details: { origin, coding } },
  );
}

function decodingFailure(origin: string, coding: string, limit: number, cause: unknown): Error {
  const tooLarge =
    cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
  if (tooLarge) {
    const message = `origin ${origin} sent a ${coding} body of more than ${limit} bytes, decoded`;
    return originError('ORIGIN_BODY_TOO_LARGE', message, { cause, details: { origin, limit } });
  }
  const message = `origin ${origin} sent a ${coding} body that cannot be decoded`;
  return originError('ORIGIN_BODY_INVALID', message, { cause, details: { origin, coding } });
}
