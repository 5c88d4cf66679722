/**
 * Whole numbers of `BigInt` attributes in JSON bodies. `JSON.parse` rounds what has more than 53
 * bits without a word; such a number is made the text of its digits before it is parsed, which is
 * the other form in which a `BigInt` may be written, stored and compared, and loses nothing.
 */
import type { TableDefinition } from '../../schema/definition.ts';

/** The least number of digits that `JSON.parse` may round. */
const LONG_NUMBER = /\d{16}/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WHOLE = /^-?\d+$/;
const COLON = /\s*:/y;

const namesByDefinition = new WeakMap<TableDefinition, ReadonlySet<string>>();

/** The JSON text of a record, or of a list of them, with its large numbers kept exactly. */
export function withExactIntegers(text: string, definition: TableDefinition): string {
  const names = bigIntNames(definition);
  return names.size > 0 && LONG_NUMBER.test(text) ? quoted(text, names) : text;
}

function bigIntNames(definition: TableDefinition): ReadonlySet<string> {
  let names = namesByDefinition.get(definition);
  if (names === undefined) {
    const own = definition.attributes.filter(({ type }) => type === 'BigInt');
    names = new Set(own.map(({ name }) => name));
    namesByDefinition.set(definition, names);
  }
  return names;
}

/** What is no JSON comes out as no JSON: the parser refuses it. */
function quoted(text: string, names: ReadonlySet<string>): string {
  const recordDepth = text.trimStart().startsWith('[') ? 2 : 1;
  let depth = 0;
  let isNamed = false;
  let made = '';
  let copied = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '"') {
      const end = stringEnd(text, at + 1);
      if (depth === recordDepth && matchAt(COLON, text, end + 1) !== undefined) {
        isNamed = names.has(text.slice(at + 1, end));
      }
      at = end;
    } else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    else {
      const number = matchAt(NUMBER, text, at);
      if (number === undefined) continue;
      if (isNamed && WHOLE.test(number) && !Number.isSafeInteger(Number(number))) {
        made += `${text.slice(copied, at)}"${number}"`;
        copied = at + number.length;
      }
      at += number.length - 1;
    }
  }
  return made + text.slice(copied);
}

/** Index of the quotation mark that ends a string. */
function stringEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
