/** Rows out of stored bytes. */
import type { Row } from './query.ts';

const decoder = new TextDecoder();

const NO_ROW: Row = Object.freeze(Object.create(null));
export const noRow = (): Row => NO_ROW;

/** What is no JSON object is a row without attributes. */
export function parseRow(body: Uint8Array): Row {
  try {
    const value: unknown = JSON.parse(decoder.decode(body));
    return typeof value === 'object' && value !== null ? (value as Row) : NO_ROW;
  } catch {
    return NO_ROW;
  }
}
