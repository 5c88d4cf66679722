/**
 * Dictionaries of RFC 9651, as far as targeted cache control needs them: keys with integers,
 * decimals, booleans, strings, tokens or byte sequences, parameters skipped. What does not parse
 * as a whole is `undefined`: half a field is never believed.
 */

export type BareItem =
  | { readonly kind: 'number'; readonly value: number; readonly isInteger: boolean }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'other' };

const KEY = /[a-z*][a-z0-9_.*-]*/y;
const NUMBER = /-?(\d{1,15})(\.\d{1,3})?/y;
const STRING = /"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y;
const BYTES = /:[A-Za-z0-9+/=]*:/y;
const MEMBERS_MAX = 64;

/** The members of a dictionary field; a repeated key counts with its last value [§4.2.2]. */
export function parseDictionary(field: string): ReadonlyMap<string, BareItem> | undefined {
  const scanner = new Scanner(field);
  const members = new Map<string, BareItem>();
  scanner.skip(/ */y);
  while (!scanner.isDone && members.size < MEMBERS_MAX) {
    const member = readMember(scanner);
    if (member === undefined) return undefined;
    members.set(member.key, member.item);
    scanner.skip(/[ \t]*/y);
    if (scanner.isDone) return members;
    if (scanner.take(/,[ \t]*/y) === undefined || scanner.isDone) return undefined;
  }
  return scanner.isDone ? members : undefined;
}

function readMember(scanner: Scanner): { key: string; item: BareItem } | undefined {
  const key = scanner.take(KEY)?.[0];
  if (key === undefined) return undefined;
  const item: BareItem | undefined =
    scanner.take(/=/y) === undefined ? { kind: 'boolean', value: true } : readItem(scanner);
  if (item === undefined || !skipParameters(scanner)) return undefined;
  return { key, item };
}

function skipParameters(scanner: Scanner): boolean {
  while (scanner.take(/; */y) !== undefined) {
    if (scanner.take(KEY) === undefined) return false;
    if (scanner.take(/=/y) !== undefined && readItem(scanner) === undefined) return false;
  }
  return true;
}

function readItem(scanner: Scanner): BareItem | undefined {
  const number = scanner.take(NUMBER);
  if (number !== undefined) {
    return { kind: 'number', value: Number(number[0]), isInteger: number[2] === undefined };
  }
  const boolean = scanner.take(/\?([01])/y);
  if (boolean !== undefined) return { kind: 'boolean', value: boolean[1] === '1' };
  const text = scanner.take(STRING);
  if (text !== undefined) return { kind: 'text', value: (text[1] ?? '').replace(/\\(.)/g, '$1') };
  const token = scanner.take(TOKEN);
  if (token !== undefined) return { kind: 'text', value: token[0] };
  return scanner.take(BYTES) === undefined ? undefined : { kind: 'other' };
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isDone(): boolean {
    return this.#at >= this.#text.length;
  }

  /** What the sticky pattern matches here; then the scanner stands behind it. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  skip(pattern: RegExp): void {
    this.take(pattern);
  }
}
