/**
 * `@computed(from: "price * (1 + taxRate)")` → a function of the record. The attributes of the type
 * are in scope by name, and `record` for those whose name is no identifier. An expression is the
 * application's own code, as trusted as its resources; it is compiled once a thread.
 */
import { type Compute, ComputedAttributes } from '../schema/computed.ts';
import type { AttributeDefinition, TableDefinition } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';

/** Longer ones belong into a function of the application, where they can be tested. */
const EXPRESSION_CHARS_MAX = 2_000;

/** The functions behind all expressions; what does not compile goes to `problems`. */
export function compileExpressions(
  tables: readonly TableDefinition[],
  problems: ProblemList,
): ComputedAttributes {
  const computed = new ComputedAttributes();
  for (const table of tables) {
    const names = table.attributes.filter(isStored).map(({ name }) => name);
    for (const { name, computed: rule, place } of table.attributes) {
      if (rule?.from === undefined) continue;
      try {
        computed.set(table.name, name, compileExpression(rule.from, names));
      } catch (error) {
        const cause = error instanceof Error ? error.message : String(error);
        const cure = 'write one JavaScript expression over the attributes of the type';
        problems.add(place, `${name} is computed from what is no expression`, { cause, cure });
      }
    }
  }
  return computed;
}

const isStored = ({ computed, relationship }: AttributeDefinition): boolean =>
  computed === undefined && relationship === undefined;

/** Throws what is wrong with the text. */
export function compileExpression(from: string, attributes: readonly string[]): Compute {
  if (from.length > EXPRESSION_CHARS_MAX) {
    throw new SyntaxError(`it has more than ${EXPRESSION_CHARS_MAX} characters`);
  }
  const names = attributes.filter(isIdentifier);
  // Closed by a line of its own, so that a comment at the end of the text ends with it.
  const body = `"use strict"; return (${from}\n);`;
  const fn = new Function('record', ...names, body) as (...values: unknown[]) => unknown;
  return (record) => fn(record, ...names.map((name) => ownValue(record, name)));
}

const ownValue = (record: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** Whether a name can be that of a parameter: `class` and `first name` cannot. */
function isIdentifier(name: string): boolean {
  if (name === 'record' || !/^[A-Za-z_$][\w$]*$/.test(name)) return false;
  try {
    new Function(name, '"use strict";');
    return true;
  } catch {
    return false;
  }
}
