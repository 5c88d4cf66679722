/**
 * The five forms of `select()`: `select(a)` bare values, `select(a,b)` objects, `select([a,b])`
 * arrays, `select(a,)` an object with one key, `select(a{b,c{d}})` nested.
 */
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { attributeNamed, undeclared } from './fields.ts';
import type { Select, Selection } from './query.ts';
import { decodeText, type TextScanner } from './text-scanner.ts';

/** What every record has besides its attributes. */
const SPECIAL: ReadonlySet<string> = new Set(['$id', '$updatedtime']);
const NAME_END = ',(){}[]&|=';

/** Reads from behind `select(` up to its closing bracket. */
export function parseSelect(scanner: TextScanner, definition: TableDefinition): Select {
  const list = new SelectionList(scanner, definition);
  if (scanner.take('[')) {
    const { selections } = list.read(']', 0);
    scanner.expect(']', 'select([ is not closed');
    return { shape: 'array', selections };
  }
  const { selections, hasComma } = list.read(')', 0);
  const isBare = selections.length === 1 && !hasComma && selections[0]?.nested === undefined;
  return { shape: isBare ? 'value' : 'object', selections };
}

class SelectionList {
  readonly #scanner: TextScanner;
  readonly #definition: TableDefinition;
  #count = 0;

  constructor(scanner: TextScanner, definition: TableDefinition) {
    this.#scanner = scanner;
    this.#definition = definition;
  }

  /** Names up to `close`, which is left to the caller. */
  read(
    close: string,
    depth: number,
  ): { readonly selections: readonly Selection[]; readonly hasComma: boolean } {
    const scanner = this.#scanner;
    const selections: Selection[] = [];
    let hasComma = false;
    do {
      if (hasComma && scanner.startsWith(close)) break;
      selections.push(this.#one(depth));
      if (!scanner.take(',')) break;
      hasComma = true;
    } while (!scanner.isDone);
    return { selections, hasComma };
  }

  #one(depth: number): Selection {
    const scanner = this.#scanner;
    const start = scanner.at;
    this.#count += 1;
    if (this.#count > LIMITS.querySelectMax) {
      throw scanner.invalid(`select() takes at most ${LIMITS.querySelectMax} attributes`);
    }
    const name = decodeText(scanner.until(NAME_END), start);
    if (name === '') throw scanner.invalid('an attribute is missing in select()', start);
    if (depth === 0) this.#check(name, start);
    if (!scanner.take('{')) return { name };
    if (depth + 1 > LIMITS.queryNestingMax) {
      throw scanner.invalid(`braces nest at most ${LIMITS.queryNestingMax} deep`);
    }
    const { selections } = this.read('}', depth + 1);
    scanner.expect('}', `${name}{ is not closed`);
    return { name, nested: selections };
  }

  #check(name: string, position: number): void {
    if (SPECIAL.has(name)) return;
    const attribute = attributeNamed(this.#definition, name);
    if (attribute === undefined) throw undeclared(this.#definition, name, position);
    const { relationship, computed } = attribute;
    if (relationship === undefined && computed === undefined) return;
    const kind = relationship === undefined ? 'computed' : 'a relationship';
    throw this.#scanner.invalid(`${name} is ${kind}: it cannot be selected yet`, position);
  }
}
