/**
 * What is asked of JSON before it is parsed: how deep it nests, and how many properties one record
 * of it has. One pass over the bytes, so that hostile structure is never built.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';

/** The same for every format of records. */
export interface StructureLimits {
  readonly depthMax: number;
  /** Properties of one record, those of objects within it counted too. */
  readonly keysMax?: number | undefined;
}

interface Structure {
  readonly depth: number;
  /** The most properties of one element when the whole is a list, else of the whole. */
  readonly keys: number;
}

/** Throws `BODY_MALFORMED`, with the limit that was reached. */
export function checkJsonStructure(bytes: Uint8Array, limits: StructureLimits): void {
  const keysMax = limits.keysMax ?? LIMITS.jsonKeysMax;
  if (bytes.length < keysMax * KEY_BYTES_MIN && !mayNest(bytes, limits.depthMax)) return;
  const { depth, keys } = jsonStructure(bytes);
  if (depth > limits.depthMax) throw tooDeep(limits.depthMax);
  if (keys > keysMax) throw tooManyKeys(keysMax);
}

/** The least that a property takes: `"":1,`. */
const KEY_BYTES_MIN = 4;
const OPENING = [0x7b, 0x5b] as const;

/** Hardly any body has more brackets than it may have levels: the engine's own search tells. */
function mayNest(bytes: Uint8Array, depthMax: number): boolean {
  if (bytes.length <= depthMax) return false;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let brackets = 0;
  for (const bracket of OPENING) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      brackets += 1;
      if (brackets > depthMax) return true;
    }
  }
  return false;
}

export const tooDeep = (depthMax: number): NodeError =>
  beyond('jsonDepthMax', depthMax, `nested deeper than ${depthMax} levels`);

export const tooManyKeys = (keysMax: number): NodeError =>
  beyond('jsonKeysMax', keysMax, `a record of it has more than ${keysMax} properties`);

/** Brackets and colons outside strings; what is no JSON at all is the parser's to refuse. */
export function jsonStructure(bytes: Uint8Array): Structure {
  let depth = 0;
  let deepest = 0;
  let keys = 0;
  let most = 0;
  const isList = firstByte(bytes) === 0x5b;
  for (let index = 0; index < bytes.length; index += 1) {
    switch (bytes[index]) {
      case 0x22: // a string: to its end
        index = stringEnd(bytes, index + 1);
        break;
      case 0x3a: // ':'
        keys += 1;
        break;
      case 0x2c: // ',' between the elements of a list
        if (depth === 1 && isList) {
          most = Math.max(most, keys);
          keys = 0;
        }
        break;
      case 0x5b:
      case 0x7b:
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
      default:
    }
  }
  return { depth: deepest, keys: Math.max(most, keys) };
}

/** The first byte that is not white space. */
function firstByte(bytes: Uint8Array): number | undefined {
  for (const byte of bytes) if (byte > 0x20) return byte;
  return undefined;
}

/** Index of the quotation mark that ends a string. */
function stringEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1;
  return at;
}

function beyond(limit: string, max: number, why: string): NodeError {
  return new NodeError('BODY_MALFORMED', `the request body is refused: ${why} (limits.${limit})`, {
    blame: 'client',
    details: { limit, max },
  });
}
