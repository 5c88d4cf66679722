/**
 * The body of a request to application code, by its declared type: JSON, CBOR, MessagePack and
 * forms as values, text as a string, anything else as its bytes.
 */
import { NodeError } from '../../base/errors.ts';
import { threadScope } from '../../resource/thread-scope.ts';
import { decodeCbor } from '../http/cbor.ts';
import { decodeMsgpack } from '../http/msgpack.ts';
import type { Exchange } from '../http/port.ts';
import { deserialized } from './formats/custom.ts';
import { type BodyLimits, mediaType, parseJson } from './json-body.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Rejects with `BODY_TOO_LARGE`, `BODY_MALFORMED`; `undefined` for an empty body. */
export async function readAnyBody(exchange: Exchange, limits: BodyLimits): Promise<unknown> {
  const type = mediaType(exchange.request.header('content-type'));
  const bytes = await exchange.body(limits.bytesMax);
  if (bytes.length === 0) return undefined;
  if (type === undefined || type === 'application/json' || type.endsWith('+json')) {
    return parseJson(bytes, limits);
  }
  if (type === 'application/x-www-form-urlencoded') {
    return Object.fromEntries(new URLSearchParams(text(bytes)));
  }
  if (type === 'application/cbor') return decodeCbor(bytes, limits);
  if (/^application\/(x-|vnd\.)?msgpack$/.test(type)) return decodeMsgpack(bytes, limits);
  const added = threadScope().contentTypes.get(type);
  if (added?.deserialize !== undefined) return deserialized(type, added, bytes);
  return type.startsWith('text/') ? text(bytes) : bytes;
}

function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new NodeError('BODY_MALFORMED', 'the request body is not UTF-8', {
      blame: 'client',
      cause,
    });
  }
}
