/**
 * Checks a record against its table's definition: kinds of values, required attributes, sealed
 * types, nested objects and lists. Runs on every write, so a definition is compiled once into a
 * list of closures; a record without fault costs one call an attribute and allocates nothing.
 *
 * It changes nothing and converts nothing: the bytes that are stored are those that came. The
 * primary key and the time stamps are not demanded, since they come from the URL and the commit.
 */
import type { AttributeDefinition, ObjectDefinition, ScalarType } from './definition.ts';
import { nearest } from './nearest.ts';
import { describeType } from './read-attribute.ts';
import { SCALAR_CHECKS } from './scalars.ts';

/** `put`: a whole record. `patch`: attributes to be changed, numbers possibly by `__op__`. */
export type RecordMode = 'put' | 'patch';

export interface RecordProblem {
  /** The attribute at fault, such as `stops[2].gate`; '' for the record itself. */
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

export type RecordCheck = (record: unknown, mode: RecordMode) => RecordProblem | undefined;

/** What `compileRecordCheck` needs of a table or of a nested type. */
export type RecordShape = Pick<ObjectDefinition, 'attributes' | 'sealed'>;

type ValueCheck = (value: unknown, mode: RecordMode) => RecordProblem | undefined;
type Compiled = Map<string, RecordCheck>;

/**
 * Compiles the check of a table or nested type. A type without attributes that is not sealed
 * accepts any value, records or not. The check returns the first problem found, or `undefined`.
 */
export function compileRecordCheck(
  definition: RecordShape,
  objects: ReadonlyMap<string, ObjectDefinition>,
): RecordCheck {
  return compileShape(definition, objects, new Map());
}

/** `stops[2].gate: expected Int, got string "B4"`. */
export function formatRecordProblem(problem: RecordProblem): string {
  const where = problem.path === '' ? 'record' : problem.path;
  return `${where}: expected ${problem.expected}, got ${problem.got}`;
}

function compileShape(
  definition: RecordShape,
  objects: ReadonlyMap<string, ObjectDefinition>,
  compiled: Compiled,
): RecordCheck {
  const { attributes, sealed } = definition;
  if (attributes.length === 0 && !sealed) return () => undefined;
  const checks = attributes.map((each) => compileAttribute(each, objects, compiled));
  const names = new Set(attributes.map((each) => each.name));
  return (record, mode) => {
    if (!isObject(record)) return { path: '', expected: 'an object', got: describeValue(record) };
    // JSON.parse makes an own property of it, which a later merge would turn into a prototype.
    if (Object.hasOwn(record, '__proto__')) return unknownAttribute('__proto__', names);
    for (const check of checks) {
      const problem = check(record, mode);
      if (problem !== undefined) return problem;
    }
    return sealed ? checkSealed(record, names) : undefined;
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Date || value instanceof Uint8Array);
}

function checkSealed(
  record: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): RecordProblem | undefined {
  for (const name in record) {
    if (!names.has(name) && Object.hasOwn(record, name)) return unknownAttribute(name, names);
  }
  return undefined;
}

function unknownAttribute(name: string, names: ReadonlySet<string>): RecordProblem {
  const near = nearest(name, names);
  const expected = near === undefined ? 'no such attribute' : `no such attribute (${near}?)`;
  return { path: name.slice(0, 100), expected, got: 'an undeclared attribute' };
}

type AttributeCheck = (
  record: Readonly<Record<string, unknown>>,
  mode: RecordMode,
) => RecordProblem | undefined;

function compileAttribute(
  attribute: AttributeDefinition,
  objects: ReadonlyMap<string, ObjectDefinition>,
  compiled: Compiled,
): AttributeCheck {
  const { name } = attribute;
  // Names such as `constructor` are found on every object's prototype.
  const inherited = name in Object.prototype;
  const checkValue = compileValue(attribute, objects, compiled);
  const given = attribute.primaryKey || attribute.role !== undefined;
  const required = attribute.required && !given;
  const expected = describeType(attribute);
  return (record, mode) => {
    const value = inherited && !Object.hasOwn(record, name) ? undefined : record[name];
    if (value === undefined) {
      if (!required || mode === 'patch') return undefined;
      return { path: name, expected, got: 'nothing' };
    }
    if (value === null) return required ? { path: name, expected, got: 'null' } : undefined;
    const problem = checkValue(value, mode);
    return problem === undefined ? undefined : prefixed(name, problem);
  };
}

function prefixed(name: string, problem: RecordProblem): RecordProblem {
  const separator = problem.path === '' || problem.path.startsWith('[') ? '' : '.';
  return { ...problem, path: `${name}${separator}${problem.path}` };
}

function compileValue(
  attribute: AttributeDefinition,
  objects: ReadonlyMap<string, ObjectDefinition>,
  compiled: Compiled,
): ValueCheck {
  const { type, list, elementRequired } = attribute;
  if (attribute.computed !== undefined || attribute.relationship !== undefined) {
    const got = attribute.computed === undefined ? 'a relationship' : 'a computed attribute';
    return () => ({ path: '', expected: 'nothing to be assigned', got });
  }
  const element =
    typeof type === 'string' ? scalarCheck(type) : nestedCheck(type.object, objects, compiled);
  if (!list) return withIncrement(attribute, element);
  const expected = describeType(attribute);
  return (value, mode) => {
    if (!Array.isArray(value)) return { path: '', expected, got: describeValue(value) };
    for (let index = 0; index < value.length; index += 1) {
      const each: unknown = value[index];
      if (each === null && !elementRequired) continue;
      // An element is always whole: a patch replaces the list.
      const problem = element(each, mode === 'patch' ? 'put' : mode);
      if (problem !== undefined) return prefixed(`[${index}]`, problem);
    }
    return undefined;
  };
}

function scalarCheck(type: ScalarType): ValueCheck {
  const accepts = SCALAR_CHECKS[type];
  return (value) =>
    accepts(value) ? undefined : { path: '', expected: type, got: describeValue(value) };
}

/** Types may nest in one another, so a nested check is looked up when it is first needed. */
function nestedCheck(
  name: string,
  objects: ReadonlyMap<string, ObjectDefinition>,
  compiled: Compiled,
): ValueCheck {
  return (value, mode) => {
    let check = compiled.get(name);
    if (check === undefined) {
      const shape = objects.get(name) ?? { attributes: [], sealed: false };
      check = compileShape(shape, objects, compiled);
      compiled.set(name, check);
    }
    return check(value, mode);
  };
}

const NUMBERS: readonly unknown[] = ['Int', 'Long', 'Float', 'BigInt'];

/** In a patch a number may be an increment: `{ "__op__": "add", "value": 1 }`. */
function withIncrement(attribute: AttributeDefinition, check: ValueCheck): ValueCheck {
  if (!NUMBERS.includes(attribute.type)) return check;
  return (value, mode) => {
    if (mode === 'patch' && isObject(value) && value.__op__ === 'add') {
      const problem = check(value.value, 'put');
      return problem === undefined ? undefined : prefixed('value', problem);
    }
    return check(value, mode);
  };
}

/** A short account of a value for an error message: its kind and the beginning of it. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'string') {
    return `string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  }
  if (typeof value === 'object') return value instanceof Date ? 'a date' : 'an object';
  return `${typeof value} ${String(value).slice(0, 40)}`;
}
