/**
 * Field lines between the wire and the page cache: flat lists of names in lower case and values,
 * one pair a line, one character a byte. What frames a message is never taken from the caller: the
 * exchange itself says how long its body is and what becomes of the connection.
 */
import type { FieldLines } from '../cache/pages/ports.ts';

/** Written by the exchange. [RFC9110 §7.6.1, RFC9112 §6] */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** undici's raw fields as lines; anything else counts as none. */
export function fieldsFromWire(raw: unknown): FieldLines {
  if (!Array.isArray(raw)) return [];
  return raw.map((part: unknown, index) => {
    const text = Buffer.isBuffer(part) ? part.toString('latin1') : String(part);
    return index % 2 === 0 ? text.toLowerCase() : text;
  });
}

/** The first value of a field. */
export function fieldOf(fields: FieldLines, name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === name) return fields[index + 1];
  }
  return undefined;
}

/** All values of a field; `undefined` when there is none. */
export function valuesOf(fields: FieldLines, name: string): readonly string[] | undefined {
  const values = fields.filter((_, at) => at % 2 === 1 && fields[at - 1] === name);
  return values.length === 0 ? undefined : values;
}

/**
 * The lines of a request as they go out: without framing, and with the origin's own fields in the
 * place of the client's lines of the same name.
 */
export function fieldsToWire(
  fields: FieldLines,
  own: Readonly<Record<string, string>>,
  host: string,
): string[] {
  const lines = ['host', host];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [name = '', value = ''] = fields.slice(index, index + 2);
    if (!FRAMING.has(name) && !Object.hasOwn(own, name)) lines.push(name, value);
  }
  for (const [name, value] of Object.entries(own)) {
    if (!FRAMING.has(name)) lines.push(name, value);
  }
  return lines;
}
