/**
 * From a name in a query to what it looks at in a record: a declared attribute, the primary key, or
 * something inside a nested object. A name that nothing declares is refused, with those that are.
 */
import type { AttributeDefinition, TableDefinition } from '../../schema/definition.ts';
import { nearest } from '../../schema/nearest.ts';
import type { Field } from './query.ts';
import { queryInvalid } from './query-error.ts';
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
export function fieldNamed(definition: TableDefinition, written: string, position: number): Field {
  const path = written.split('.').map((name) => decodeText(name, position));
  const [first = '', ...inner] = path;
  const attribute = attributeNamed(definition, first);
  if (attribute === undefined) throw undeclared(definition, first, position);
  refuseUnstored(attribute, position);
  if (path.includes('')) throw queryInvalid(`${quoted(written)} has an empty part`, position);
  const { type, list } = attribute;
  if (inner.length > 0) {
    if (typeof type === 'string' && type !== 'Any') {
      throw queryInvalid(`${first} is a ${type}: there is nothing inside it`, position);
    }
    return { path, type: 'Any', isMultiple: true, isKey: false, indexed: undefined };
  }
  const isKey = first === definition.primaryKey;
  return {
    path,
    type: typeof type === 'string' ? type : 'Any',
    isMultiple: !isKey && (list || type === 'Any' || typeof type !== 'string'),
    isKey,
    indexed: attribute.indexed ? attribute : undefined,
  };
}

function refuseUnstored(attribute: AttributeDefinition, position: number): void {
  const { name, relationship, computed } = attribute;
  if (relationship !== undefined) {
    throw queryInvalid(`${name} is a relationship: joins are not served yet`, position);
  }
  if (computed !== undefined) {
    throw queryInvalid(`${name} is computed: it cannot be queried yet`, position);
  }
}

export function undeclared(definition: TableDefinition, name: string, position: number) {
  const names = definition.attributes.filter((each) => !each.hidden).map((each) => each.name);
  const known = names.includes(definition.primaryKey) ? names : [definition.primaryKey, ...names];
  const near = nearest(name, known);
  const hint = near === undefined ? `it has ${known.join(', ')}` : `did you mean ${near}?`;
  return queryInvalid(`${definition.typeName} has no attribute ${quoted(name)}; ${hint}`, position);
}
