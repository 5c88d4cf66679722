/**
 * One condition of a query: `name operator value`, and its continuation `a=gt=1&lt=9`, which goes
 * on with the attribute before it. Counts conditions against their bound.
 */
import { LIMITS } from '../../config/limits.ts';
import { attributeNamed, fieldNamed } from './fields.ts';
import { nameOf, parseValue } from './parse-value.ts';
import type { Bound, Condition, Field, Filter, Test } from './query.ts';
import { queryBeyond } from './query-error.ts';
import type { QueryScope } from './scope.ts';
import { decodeText, quoted, type TextScanner } from './text-scanner.ts';

const OPERATOR = /===|==|=[a-z]{2}=|=|!==|!=/y;
const END = '&|)]';
const NAME_END = '=!&|()[]';

type Order = 'gt' | 'ge' | 'lt' | 'le';
const LOWER: ReadonlySet<string> = new Set(['gt', 'ge']);
const UPPER: ReadonlySet<string> = new Set(['lt', 'le']);
const TEXTS = { sw: 'prefix', ew: 'suffix', ct: 'contains' } as const;
const TEXT_TYPES: ReadonlySet<string> = new Set(['ID', 'String', 'Bytes', 'Blob', 'Any']);

export class ConditionParser {
  readonly #scanner: TextScanner;
  readonly #scope: QueryScope;
  #count = 0;

  constructor(scanner: TextScanner, scope: QueryScope) {
    this.#scanner = scanner;
    this.#scope = scope;
  }

  parse(): Condition {
    const scanner = this.#scanner;
    const start = scanner.at;
    this.#countOne(start);
    const written = scanner.until(NAME_END);
    const operatorAt = scanner.at;
    const operator = this.#operator();
    if (operator === undefined || written === '') {
      scanner.untilUnbalanced(END);
      const term = quoted(scanner.text.slice(start, scanner.at));
      throw scanner.invalid(`${term} is not attribute, operator and value`, start);
    }
    const field = fieldNamed(this.#scope, written, start);
    return { kind: 'condition', field, test: this.#test(field, operator, operatorAt) };
  }

  /** Reads `lt=9` into the range before it; false when something else stands here. */
  extend(filters: Filter[]): boolean {
    const scanner = this.#scanner;
    const last = filters.at(-1);
    if (last?.kind !== 'condition' || last.test.kind !== 'range') return false;
    const order = /(gt|ge|lt|le)=/y;
    order.lastIndex = scanner.at;
    const name = order.exec(scanner.text)?.[1];
    if (name === undefined || attributeNamed(this.#scope.definition, name) !== undefined)
      return false;
    const start = scanner.at;
    const { test, field } = last;
    if (LOWER.has(name) ? test.from !== undefined : test.to !== undefined) {
      throw scanner.invalid(`${nameOf(field)} has a bound on that side already`, start);
    }
    this.#countOne(start);
    scanner.at += name.length + 1;
    const added = this.#range(field, name as Order);
    const kinds = [test.from ?? test.to, added.from ?? added.to].map((each) => typeof each?.value);
    if (kinds[0] !== kinds[1])
      throw scanner.invalid('the two bounds are of different kinds', start);
    filters[filters.length - 1] = { ...last, test: { ...test, ...added } };
    return true;
  }

  #countOne(position: number): void {
    this.#count += 1;
    if (this.#count > LIMITS.queryConditionsMax) {
      const what = `a query has at most ${LIMITS.queryConditionsMax} conditions`;
      throw queryBeyond('queryConditionsMax', what, position);
    }
  }

  #operator(): string | undefined {
    OPERATOR.lastIndex = this.#scanner.at;
    const operator = OPERATOR.exec(this.#scanner.text)?.[0];
    this.#scanner.at += operator?.length ?? 0;
    return operator;
  }

  #test(field: Field, operator: string, start: number): Test {
    switch (operator) {
      case '=':
      case '===':
        return { kind: 'eq', value: this.#value(field, false) };
      case '==':
        return this.#equalOrPrefix(field);
      case '!==':
        return { kind: 'ne', value: this.#value(field, false) };
      case '!=':
      case '=ne=':
        return { kind: 'ne', value: this.#value(field, true) };
      default:
        return this.#named(field, operator.slice(1, -1), start);
    }
  }

  #named(field: Field, name: string, start: number): Test {
    if (LOWER.has(name) || UPPER.has(name)) return this.#range(field, name as Order);
    if (!(name in TEXTS)) {
      const known = '=ne= =lt= =le= =gt= =ge= =sw= =ew= =ct=';
      throw this.#scanner.invalid(`there is no operator =${name}=; there are ${known}`, start);
    }
    const kind = TEXTS[name as keyof typeof TEXTS];
    const position = this.#scanner.at;
    return this.#text(field, kind, this.#scanner.untilUnbalanced(END), position);
  }

  #equalOrPrefix(field: Field): Test {
    const position = this.#scanner.at;
    const written = this.#scanner.untilUnbalanced(END);
    if (!written.endsWith('*')) {
      return { kind: 'eq', value: parseValue(field, written, true, position) };
    }
    return this.#text(field, 'prefix', written.slice(0, -1), position);
  }

  #text(
    field: Field,
    kind: 'prefix' | 'suffix' | 'contains',
    written: string,
    position: number,
  ): Test {
    if (!TEXT_TYPES.has(field.type)) {
      const what = `${nameOf(field)} is a ${field.type}: only text begins, ends or contains`;
      throw queryBeyond('queryConditionsMax', what, position);
    }
    return { kind, text: decodeText(written, position) };
  }

  #range(field: Field, order: Order): Extract<Test, { kind: 'range' }> {
    const position = this.#scanner.at;
    const value = this.#value(field, true);
    if (value === null) throw this.#scanner.invalid('null has no order', position);
    const bound: Bound = { value, isOpen: order === 'gt' || order === 'lt' };
    return LOWER.has(order) ? { kind: 'range', from: bound } : { kind: 'range', to: bound };
  }

  #value(field: Field, isConverting: boolean) {
    const position = this.#scanner.at;
    return parseValue(field, this.#scanner.untilUnbalanced(END), isConverting, position);
  }
}
