/**
 * One field of a type in `schema.graphql` → one attribute. What can be judged from the field alone
 * is judged here; whether the names it uses exist is judged by `cross-check.ts`, once all types are
 * known.
 */
import type { FieldDefinitionNode, TypeNode } from 'graphql';
import type { AttributeDefinition, ScalarType, SourcePlace } from './definition.ts';
import { type ReadDirective, type ReadDirectives, readDirectives } from './directives.ts';
import { placeOf } from './place.ts';
import type { ProblemList } from './problem.ts';

const SCALAR_NAMES: readonly ScalarType[] = [
  'ID',
  'String',
  'Int',
  'Long',
  'Float',
  'BigInt',
  'Boolean',
  'Date',
  'Bytes',
  'Blob',
  'Any',
];
export const SCALARS: ReadonlySet<string> = new Set(SCALAR_NAMES);

const isScalar = (name: string): name is ScalarType => SCALARS.has(name);

const ROLES = ['createdTime', 'updatedTime', 'expiresAt'] as const;
/** Types that can hold milliseconds since 1970: `Int` has 32 bits and cannot. */
const INSTANT_TYPES: readonly unknown[] = ['Long', 'Float', 'Date', 'String', 'Any'];
const KEY_TYPES: readonly unknown[] = ['ID', 'String', 'Int', 'Long', 'Any'];
const UNINDEXED_TYPES: readonly unknown[] = ['Bytes', 'Blob'];

/** Reads a field; always yields an attribute, so that the rest of the file can be judged too. */
export function readAttribute(
  field: FieldDefinitionNode,
  file: string,
  problems: ProblemList,
): AttributeDefinition {
  const place = placeOf(field.name, file);
  const name = field.name.value;
  if (name === '__proto__') problems.add(place, 'an attribute cannot be called __proto__');
  const argument = field.arguments?.[0];
  if (argument !== undefined) {
    problems.add(placeOf(argument, file), `attribute ${name} takes no arguments`);
  }
  const directives = readDirectives(field, 'field', file, problems);
  const attribute: AttributeDefinition = {
    name,
    ...readType(field.type),
    primaryKey: directives.has('primaryKey'),
    ...readIndex(directives.get('indexed'), problems),
    hidden: directives.has('hidden'),
    role: ROLES.find((role) => directives.has(role)),
    computed: readComputed(directives.get('computed')),
    relationship: readRelationship(directives.get('relationship')),
    description: field.description?.value,
    place,
  };
  judge(attribute, directives, problems);
  return attribute;
}

type AttributeType = Pick<AttributeDefinition, 'type' | 'list' | 'required' | 'elementRequired'>;

function readType(node: TypeNode): AttributeType {
  const required = node.kind === 'NonNullType';
  const outer = node.kind === 'NonNullType' ? node.type : node;
  if (outer.kind === 'NamedType') {
    return { type: namedType(outer.name.value), list: false, required, elementRequired: false };
  }
  const elementRequired = outer.type.kind === 'NonNullType';
  const element = outer.type.kind === 'NonNullType' ? outer.type.type : outer.type;
  // A list of lists (a matrix) is kept, its inner lists unchecked: nothing is indexed inside them.
  const type = element.kind === 'NamedType' ? namedType(element.name.value) : 'Any';
  return { type, list: true, required, elementRequired };
}

function namedType(name: string): AttributeDefinition['type'] {
  return isScalar(name) ? name : { object: name };
}

function readIndex(
  directive: ReadDirective | undefined,
  problems: ProblemList,
): Pick<AttributeDefinition, 'indexed' | 'vectorIndex'> {
  if (directive === undefined) return { indexed: false };
  const type = directive.values.type;
  if (typeof type === 'string' && type.toUpperCase() === 'HNSW') {
    return { indexed: false, vectorIndex: Object.freeze({ ...directive.values, type: 'HNSW' }) };
  }
  if (type !== undefined) {
    problems.add(directive.placeOf('type'), `unknown index type ${String(type)}`, {
      cure: 'leave it out for an ordered index, or write "HNSW" for a vector index',
    });
  } else {
    const extra = Object.keys(directive.values)[0];
    if (extra !== undefined) {
      problems.add(directive.placeOf(extra), `${extra} is a setting of vector indexes`, {
        cure: 'add type: "HNSW", or leave it out',
      });
    }
  }
  return { indexed: true };
}

function readComputed(directive: ReadDirective | undefined): AttributeDefinition['computed'] {
  if (directive === undefined) return undefined;
  const { from, version } = directive.values;
  return {
    from: typeof from === 'string' ? from : undefined,
    ...(typeof version === 'number' ? { version } : {}),
  };
}

function readRelationship(
  directive: ReadDirective | undefined,
): AttributeDefinition['relationship'] {
  if (directive === undefined) return undefined;
  const { from, to } = directive.values;
  return {
    ...(typeof from === 'string' ? { from } : {}),
    ...(typeof to === 'string' ? { to } : {}),
  };
}

function judge(
  attribute: AttributeDefinition,
  directives: ReadDirectives,
  problems: ProblemList,
): void {
  const placed = (directive: string): SourcePlace =>
    directives.get(directive)?.place ?? attribute.place;
  const { name, type, list } = attribute;
  const written = describeType(attribute);
  if (attribute.primaryKey && (list || !KEY_TYPES.includes(type))) {
    problems.add(placed('primaryKey'), `primary key ${name} cannot be of type ${written}`, {
      cure: 'use ID or String for text keys, Int or Long for numbers',
    });
  }
  if (attribute.role !== undefined && (list || !INSTANT_TYPES.includes(type))) {
    const cause = type === 'Int' ? 'milliseconds since 1970 do not fit 32 bits' : undefined;
    problems.add(placed(attribute.role), `@${attribute.role} cannot be of type ${written}`, {
      cause,
      cure: 'use Long (milliseconds since 1970) or Date',
    });
  }
  const roles = ROLES.filter((role) => directives.has(role));
  if (roles.length > 1) {
    problems.add(placed(roles[1] ?? ''), `${name} is both @${roles.join(' and @')}`);
  }
  judgeIndex(attribute, placed('indexed'), problems);
  judgeDerived(attribute, placed, problems);
}

function judgeIndex(
  attribute: AttributeDefinition,
  place: SourcePlace,
  problems: ProblemList,
): void {
  const { name, type, list, vectorIndex, indexed } = attribute;
  if (vectorIndex !== undefined && (!list || (type !== 'Float' && type !== 'Any'))) {
    problems.add(place, `a vector index needs [Float]; ${name} is ${describeType(attribute)}`);
  }
  if (!indexed) return;
  if (typeof type === 'object' || UNINDEXED_TYPES.includes(type)) {
    problems.add(place, `${name} of type ${describeType(attribute)} cannot be indexed`, {
      cure: 'index an attribute that holds text, a number, a date or a boolean, or a list of them',
    });
  }
}

function judgeDerived(
  attribute: AttributeDefinition,
  placed: (directive: string) => SourcePlace,
  problems: ProblemList,
): void {
  const { name, relationship } = attribute;
  if (relationship !== undefined) {
    if (typeof attribute.type === 'string') {
      problems.add(placed('relationship'), `relationship ${name} must be of a table's type`, {
        cause: `${describeType(attribute)} is a scalar`,
      });
    }
    if (relationship.from === undefined && relationship.to === undefined) {
      problems.add(placed('relationship'), '@relationship needs the argument from or to', {
        cure: 'from: the attribute here that holds the other key; to: the attribute there',
      });
    }
    // [SCH-21] The other side may hold any number of records.
    if (relationship.to !== undefined && !attribute.list) {
      problems.add(placed('relationship'), `relationship ${name} with to must be a list`, {
        cure: `write ${name}: [${describeType(attribute).replace('!', '')}]`,
      });
    }
  }
  if (attribute.computed === undefined) return;
  if (attribute.primaryKey || relationship !== undefined || attribute.role !== undefined) {
    problems.add(placed('computed'), `${name} cannot be computed`, {
      cause: 'a primary key, a relationship or a time stamp has another source',
    });
  }
}

/** The type as the schema writes it: `[String!]!`. */
export function describeType(attribute: AttributeDefinition): string {
  const name = typeof attribute.type === 'string' ? attribute.type : attribute.type.object;
  const element = attribute.elementRequired ? `${name}!` : name;
  const whole = attribute.list ? `[${element}]` : name;
  return attribute.required ? `${whole}!` : whole;
}
