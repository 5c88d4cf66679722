/**
 * What can be judged only when the whole document is known: that the types which attributes name
 * exist, that relationships lead to attributes, and that no two tables, exports or page patterns
 * claim the same name.
 */
import type { AttributeDefinition, SourcePlace, TableDefinition } from './definition.ts';
import { nearest } from './nearest.ts';
import type { ProblemList } from './problem.ts';
import { SCALARS } from './read-attribute.ts';
import type { ReadType } from './read-table.ts';

/** Reports every attribute whose type or relationship leads nowhere. */
export function checkTypeNames(
  types: ReadonlyMap<string, ReadType>,
  tables: readonly TableDefinition[],
  problems: ProblemList,
): void {
  const tableTypes = new Map(tables.map((table) => [table.typeName, table]));
  for (const type of types.values()) {
    const own = tableTypes.get(type.node.name.value)?.attributes ?? type.attributes;
    for (const attribute of type.attributes) {
      if (typeof attribute.type === 'string') continue;
      const target = types.get(attribute.type.object);
      if (target === undefined) reportUnknownType(attribute, types, problems);
      else if (attribute.relationship !== undefined) {
        const table = tableTypes.get(attribute.type.object);
        checkRelationship(attribute, own, table, problems);
      }
    }
  }
}

function reportUnknownType(
  attribute: AttributeDefinition,
  types: ReadonlyMap<string, ReadType>,
  problems: ProblemList,
): void {
  if (typeof attribute.type === 'string') return;
  const name = attribute.type.object;
  const near = nearest(name, [...SCALARS, ...types.keys()]);
  problems.add(attribute.place, `${attribute.name} has the unknown type ${name}`, {
    cure:
      near === undefined
        ? `declare type ${name}, or use one of ${[...SCALARS].join(', ')}`
        : `did you mean ${near}?`,
  });
}

function checkRelationship(
  attribute: AttributeDefinition,
  own: readonly AttributeDefinition[],
  target: TableDefinition | undefined,
  problems: ProblemList,
): void {
  const { name, place, relationship } = attribute;
  if (target === undefined) {
    problems.add(place, `relationship ${name} leads to a type that is no table`, {
      cure: 'add @table to that type, or leave out @relationship to nest it',
    });
    return;
  }
  const check = (
    side: 'from' | 'to',
    wanted: string | undefined,
    attributes: readonly AttributeDefinition[],
    where: string,
  ): void => {
    if (wanted === undefined) return;
    const names = attributes
      .filter((each) => each.relationship === undefined && each.computed === undefined)
      .map((each) => each.name);
    if (names.includes(wanted)) return;
    const near = nearest(wanted, names);
    problems.add(place, `${side}: ${wanted} is no attribute of ${where}`, {
      cure: near === undefined ? `write one of ${names.join(', ')}` : `did you mean ${near}?`,
    });
  };
  check('from', relationship?.from, own, 'this type');
  check('to', relationship?.to, target.attributes, target.typeName);
  checkLink(attribute, own, target, problems);
}

/** What a relationship needs of the two attributes that it compares. */
function checkLink(
  { name, place, list, relationship }: AttributeDefinition,
  own: readonly AttributeDefinition[],
  { attributes, typeName, primaryKey }: TableDefinition,
  problems: ProblemList,
): void {
  const here = own.find((each) => each.name === relationship?.from);
  const there = attributes.find((each) => each.name === relationship?.to);
  if (here?.list === true && !list) {
    problems.add(place, `relationship ${name} leads to several records`, {
      cause: `${here.name} is a list`,
      cure: `write ${name}: [${typeName}]`,
    });
  }
  if (there === undefined || there.indexed || there.name === primaryKey) return;
  problems.add(place, `relationship ${name} needs an index of ${typeName}.${there.name}`, {
    cause: 'its records are found by that attribute',
    cure: `write ${there.name}: … @indexed in type ${typeName} (line ${there.place.line})`,
  });
}

/** Reports tables, exports and page patterns that claim a name which another has claimed before. */
export function checkDuplicates(tables: readonly TableDefinition[], problems: ProblemList): void {
  const names = new Claims(problems);
  const exports = new Claims(problems);
  const pages = new Claims(problems);
  for (const table of tables) {
    names.claim(table.name, `table ${table.name}`, table);
    if (table.export !== undefined) {
      exports.claim(table.export.name, `path /${table.export.name}`, table);
    }
    if (table.pages !== undefined) {
      const host = table.pages.host ?? '';
      pages.claim(`${host}${table.pages.path}`, `pages ${host}${table.pages.path}`, table);
    }
  }
}

class Claims {
  readonly #claimed = new Map<string, TableDefinition>();
  readonly #problems: ProblemList;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  claim(name: string, what: string, by: TableDefinition): void {
    const first = this.#claimed.get(name);
    if (first === undefined) {
      this.#claimed.set(name, by);
      return;
    }
    const place: SourcePlace = by.place;
    this.#problems.add(place, `${what} is declared twice`, {
      cause: `type ${first.typeName} at line ${first.place.line} has it already`,
      cure: 'give one of them another name',
    });
  }
}
