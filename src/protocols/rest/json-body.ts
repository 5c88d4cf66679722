/**
 * JSON of request bodies, within the limits of nesting; and media types of bodies. What is nested
 * too deeply is refused before it is parsed.
 */
import { NodeError } from '../../base/errors.ts';
import type { JsonRecord } from '../../table/record-draft.ts';

export interface BodyLimits {
  readonly bytesMax: number;
  readonly depthMax: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The media type of a Content-Type field, without parameters. */
export function mediaType(field: string | undefined): string | undefined {
  if (field === undefined) return undefined;
  const end = field.indexOf(';');
  const type = (end === -1 ? field : field.slice(0, end)).trim().toLowerCase();
  return type === '' ? undefined : type;
}

export function parseJsonObject(bytes: Uint8Array, depthMax: number): JsonRecord {
  const value = parseJson(bytes, depthMax);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('a record is a JSON object');
  }
  return value as JsonRecord;
}

/** Any JSON value within the limit of nesting; throws `BODY_MALFORMED`. */
export function parseJson(bytes: Uint8Array, depthMax: number): unknown {
  if (mayNest(bytes, depthMax) && nesting(bytes) > depthMax)
    throw malformed(`nested deeper than ${depthMax} levels`);
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw malformed(bytes.length === 0 ? 'it is empty' : reason, cause);
  }
}

const OPENING = [0x7b, 0x5b] as const;

/** Hardly any body has more brackets than it may have levels: the engine's own search tells. */
function mayNest(bytes: Uint8Array, depthMax: number): boolean {
  if (bytes.length <= depthMax) return false;
  const text = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let brackets = 0;
  for (const bracket of OPENING) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      brackets += 1;
      if (brackets > depthMax) return true;
    }
  }
  return false;
}

/** Greatest depth of brackets outside strings; cheap, so that hostile nesting is never parsed. */
export function nesting(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === 0x22) quoted = !quoted;
    else if (byte === 0x5c && quoted) index += 1;
    else if (quoted) continue;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      deepest = Math.max(deepest, depth);
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return deepest;
}

function malformed(why: string, cause?: unknown): NodeError {
  return new NodeError('BODY_MALFORMED', `the request body is not a JSON object: ${why}`, {
    blame: 'client',
    cause,
  });
}
