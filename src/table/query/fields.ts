/**
 * From a name in a query to what it looks at in a record: a declared attribute, the primary key,
 * something inside a nested object, or an attribute of a related record. A name that nothing
 * declares is refused, with those that are.
 */

import { must } from '../../base/assert.ts';
import type { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { AttributeDefinition, TableDefinition } from '../../schema/definition.ts';
import { nearest } from '../../schema/nearest.ts';
import type { Field } from './query.ts';
import { queryBeyond, queryInvalid } from './query-error.ts';
import type { QueryScope, Relation } from './scope.ts';
import { decodeText, quoted } from './text-scanner.ts';

/** The declared attribute of that name; the primary key is one even when it is not written out. */
export function attributeNamed(
  definition: TableDefinition,
  name: string,
): AttributeDefinition | undefined {
  const declared = definition.attributes.find((attribute) => attribute.name === name);
  if (declared !== undefined || name !== definition.primaryKey) return declared;
  return {
    name,
    type: definition.primaryKeyType === 'number' ? 'Long' : 'ID',
    list: false,
    required: true,
    elementRequired: false,
    primaryKey: true,
    indexed: false,
    hidden: false,
    place: definition.place,
  };
}

/** Throws `QUERY_INVALID` for a name that leads nowhere. `written` is still percent-encoded. */
export function fieldNamed(scope: QueryScope, written: string, position: number): Field {
  const places: number[] = [];
  let at = position;
  const path = written.split('.').map((name) => {
    places.push(at);
    if (name === '') throw queryInvalid(`${quoted(written)} has an empty part`, at);
    at += name.length + 1;
    return decodeText(name, at - name.length - 1);
  });
  return fieldAt(scope, path, places, 0);
}

/** `places`: where in the text each part of the path stands. */
function fieldAt(
  scope: QueryScope,
  path: readonly string[],
  places: readonly number[],
  joins: number,
): Field {
  const { definition } = scope;
  const [position = 0, innerPosition = 0] = places;
  const [first = '', ...inner] = path;
  const attribute = attributeNamed(definition, first);
  if (attribute === undefined && scope.isOpen === true) return anyField(path);
  if (attribute === undefined) throw undeclared(definition, first, position);
  if (attribute.relationship !== undefined) {
    return joinedField(scope, attribute, inner, places, joins + 1);
  }
  if (inner.length === 0) return ownField(scope, attribute, position);
  const { type } = attribute;
  if (attribute.computed !== undefined || (typeof type === 'string' && type !== 'Any')) {
    const what = `${first} is ${kindOf(attribute)}: nothing inside it is named`;
    throw queryInvalid(what, innerPosition);
  }
  return anyField(path);
}

/** What nothing declares: it may hold anything, and several of them. */
export const anyField = (path: readonly string[]): Field => ({
  path,
  type: 'Any',
  isMultiple: true,
  isKey: false,
  indexed: undefined,
});

const kindOf = ({ computed, type }: AttributeDefinition): string =>
  computed !== undefined ? 'computed' : `a ${typeof type === 'string' ? type : type.object}`;

function joinedField(
  scope: QueryScope,
  attribute: AttributeDefinition,
  inner: readonly string[],
  places: readonly number[],
  joins: number,
): Field {
  const { name } = attribute;
  const [position = 0, ...innerPlaces] = places;
  const relation = relationOf(scope, attribute);
  if (relation === undefined) {
    throw queryInvalid(`${name} is a relationship, which is not followed here`, position);
  }
  if (inner.length === 0) {
    const { primaryKey } = relation.target.definition;
    const cure = `name an attribute of it, such as ${name}.${primaryKey}`;
    throw queryInvalid(`${name} is a relationship: ${cure}`, position);
  }
  if (joins > LIMITS.queryJoinsDeepMax) throw tooDeep(position);
  const field = fieldAt(relation.target, inner, innerPlaces, joins);
  const path = [name, ...field.path];
  const joined = { relation, field };
  return { path, type: field.type, isMultiple: true, isKey: false, indexed: undefined, joined };
}

export function tooDeep(position: number): NodeError {
  const what = `relationships are followed at most ${LIMITS.queryJoinsDeepMax} deep`;
  return queryBeyond('queryJoinsDeepMax', what, position);
}

function ownField(scope: QueryScope, attribute: AttributeDefinition, position: number): Field {
  const field = storedField(scope.definition, attribute);
  if (attribute.computed === undefined) return field;
  return { ...field, compute: computeOf(scope, attribute.name, position) };
}

/** Throws `QUERY_INVALID` where nothing computes the attribute. */
export function computeOf(scope: QueryScope, name: string, position: number) {
  const compute = scope.compute(name);
  if (compute !== undefined) return compute;
  const cure = 'give it from: "…", or a function by setComputedAttribute()';
  throw queryInvalid(`${name} is computed, but nothing computes it here; ${cure}`, position);
}

/** `undefined` for what is no relationship, or where relationships are not followed. */
export function relationOf(
  { definition, related }: QueryScope,
  { name, type, list, relationship }: AttributeDefinition,
): Relation | undefined {
  if (relationship === undefined || typeof type === 'string') return undefined;
  const target = related(type.object);
  if (target === undefined) return undefined;
  const here = relationship.from ?? definition.primaryKey;
  const there = relationship.to ?? target.definition.primaryKey;
  return {
    name,
    target,
    here: fieldOf(definition, here),
    there: fieldOf(target.definition, there),
    isList: list,
  };
}

/** The schema was checked: a relationship names attributes that exist. */
const fieldOf = (definition: TableDefinition, name: string): Field =>
  storedField(definition, must(attributeNamed(definition, name), `attribute ${name}`));

/** What an attribute looks at in the record itself. */
export function storedField(definition: TableDefinition, attribute: AttributeDefinition): Field {
  const { name, type, list } = attribute;
  const isKey = name === definition.primaryKey;
  return {
    path: [name],
    type: typeof type === 'string' ? type : 'Any',
    isMultiple: !isKey && (list || type === 'Any' || typeof type !== 'string'),
    isKey,
    indexed: attribute.indexed ? attribute : undefined,
    ...(attribute.inKey === undefined ? {} : { inKey: attribute.inKey }),
  };
}

export function undeclared(definition: TableDefinition, name: string, position: number) {
  const names = definition.attributes.filter((each) => !each.hidden).map((each) => each.name);
  const known = names.includes(definition.primaryKey) ? names : [definition.primaryKey, ...names];
  const near = nearest(name, known);
  const hint = near === undefined ? `it has ${known.join(', ')}` : `did you mean ${near}?`;
  return queryInvalid(`${definition.typeName} has no attribute ${quoted(name)}; ${hint}`, position);
}
