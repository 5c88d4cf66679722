/**
 * Decoded binary values as JSON has them, since records are kept as JSON: dates become ISO 8601
 * text, bytes base64, integers beyond the safe range decimal text (as `BigInt` attributes take it).
 */
import { NodeError } from '../../base/errors.ts';

/** Throws `BODY_MALFORMED` for what JSON has no word for. Depth was bounded before decoding. */
export function plainValue(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw notPlain(String(value));
    case 'bigint': {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value.toString();
    }
    case 'undefined':
      return null;
    case 'object':
      return value === null ? null : plainObject(value);
    default:
      throw notPlain(typeof value);
  }
}

function plainObject(value: object): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw notPlain('a date that is none');
    return value.toISOString();
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plainValue);
  if (Object.getPrototypeOf(value) !== Object.prototype) throw notPlain(value.constructor.name);
  // Absent rather than null: a patch would set it. Own properties only, whatever their name.
  const given = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(given.map(([name, each]) => [name, plainValue(each)]));
}

function notPlain(what: string): NodeError {
  const message = `the request body holds ${what}, which a record cannot; send text or a number`;
  return new NodeError('BODY_MALFORMED', message, { blame: 'client' });
}
