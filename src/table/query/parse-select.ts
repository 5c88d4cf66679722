/**
 * The five forms of `select()`: `select(a)` bare values, `select(a,b)` objects, `select([a,b])`
 * arrays, `select(a,)` an object with one key, `select(a{b,c{d}})` nested.
 */
import { LIMITS } from '../../config/limits.ts';
import type { AttributeDefinition } from '../../schema/definition.ts';
import { attributeNamed, computeOf, relationOf, tooDeep, undeclared } from './fields.ts';
import type { Select, Selection } from './query.ts';
import { queryBeyond, queryInvalid } from './query-error.ts';
import type { QueryScope } from './scope.ts';
import { decodeText, type TextScanner } from './text-scanner.ts';

/** What every record has besides its attributes. */
const SPECIAL: ReadonlySet<string> = new Set(['$id', '$updatedtime']);
const NAME_END = ',(){}[]&|=';

/** Reads from behind `select(` up to its closing bracket. */
export function parseSelect(scanner: TextScanner, scope: QueryScope): Select {
  const list = new SelectionList(scanner);
  if (scanner.take('[')) {
    const { selections } = list.read(']', { scope, depth: 0, joins: 0 });
    scanner.expect(']', 'select([ is not closed');
    return { shape: 'array', selections };
  }
  const { selections, hasComma } = list.read(')', { scope, depth: 0, joins: 0 });
  const isBare = selections.length === 1 && !hasComma && selections[0]?.nested === undefined;
  return { shape: isBare ? 'value' : 'object', selections };
}

/** Where a name stands: among whose attributes, and within how many braces and relationships. */
interface Level {
  /** `undefined` inside plain objects, whose attributes are not checked. */
  readonly scope: QueryScope | undefined;
  readonly depth: number;
  readonly joins: number;
}

class SelectionList {
  readonly #scanner: TextScanner;
  #count = 0;

  constructor(scanner: TextScanner) {
    this.#scanner = scanner;
  }

  /** Names up to `close`, which is left to the caller. */
  read(
    close: string,
    level: Level,
  ): { readonly selections: readonly Selection[]; readonly hasComma: boolean } {
    const scanner = this.#scanner;
    const selections: Selection[] = [];
    let hasComma = false;
    do {
      if (hasComma && scanner.startsWith(close)) break;
      selections.push(this.#one(level));
      if (!scanner.take(',')) break;
      hasComma = true;
    } while (!scanner.isDone);
    return { selections, hasComma };
  }

  #one(level: Level): Selection {
    const scanner = this.#scanner;
    const start = scanner.at;
    this.#count += 1;
    if (this.#count > LIMITS.querySelectMax) {
      const what = `select() takes at most ${LIMITS.querySelectMax} attributes`;
      throw queryBeyond('querySelectMax', what, start);
    }
    const name = decodeText(scanner.until(NAME_END), start);
    if (name === '') throw scanner.invalid('an attribute is missing in select()', start);
    const selection = selectionNamed(level.scope, name, start);
    const { relation } = selection;
    const joins = level.joins + (relation === undefined ? 0 : 1);
    if (joins > LIMITS.queryJoinsDeepMax) throw tooDeep(start);
    if (!scanner.take('{')) return selection;
    const depth = level.depth + 1;
    if (depth > LIMITS.queryNestingMax) {
      const what = `braces nest at most ${LIMITS.queryNestingMax} deep`;
      throw queryBeyond('queryNestingMax', what, scanner.at);
    }
    const { selections } = this.read('}', { scope: relation?.target, depth, joins });
    scanner.expect('}', `${name}{ is not closed`);
    return { ...selection, nested: selections };
  }
}

function selectionNamed(scope: QueryScope | undefined, name: string, position: number): Selection {
  if (scope === undefined || SPECIAL.has(name)) return { name };
  const attribute = attributeNamed(scope.definition, name);
  if (attribute === undefined && scope.isOpen === true) return { name };
  if (attribute === undefined) throw undeclared(scope.definition, name, position);
  return selectionOf(scope, attribute, position);
}

/** The selection of a declared attribute as a whole. Throws `QUERY_INVALID`. */
export function selectionOf(
  scope: QueryScope,
  attribute: AttributeDefinition,
  position: number,
): Selection {
  const { name, computed, relationship } = attribute;
  if (computed !== undefined) return { name, compute: computeOf(scope, name, position) };
  if (relationship === undefined) return { name };
  const relation = relationOf(scope, attribute);
  if (relation !== undefined) return { name, relation };
  throw queryInvalid(`${name} is a relationship, which is not followed here`, position);
}
