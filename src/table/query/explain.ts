/**
 * A plan in words that a person can act upon: what drives the query, and what it costs. Counts are
 * bounded, so that to ask is cheap however large the table.
 */
import type { TableDefinition } from '../../schema/definition.ts';
import type { StoreReader } from '../store-port.ts';
import type { Access } from './access.ts';
import { conjuncts } from './access.ts';
import type { Plan } from './plan.ts';
import { filterKey } from './signature.ts';

export interface Explanation {
  readonly table: string;
  readonly access: AccessExplanation;
  /** Conditions that are looked at row by row. */
  readonly residual: readonly string[];
  readonly order: Plan['order'];
}

interface AccessExplanation {
  readonly kind: Access['kind'];
  readonly attribute?: string | undefined;
  readonly prefix?: string | undefined;
  /** Rows on this way, counted up to 10,000. */
  readonly rows?: number | undefined;
  readonly branches?: readonly AccessExplanation[] | undefined;
  /** The relationship that leads to the rows, and the way to the related rows before. */
  readonly relationship?: string | undefined;
  readonly related?: Omit<Explanation, 'order'> | undefined;
}

const ROWS_MAX = 10_000;
const BRANCHES_MAX = 20;

export function explain(definition: TableDefinition, plan: Plan, reader: StoreReader): Explanation {
  return {
    table: definition.name,
    access: explainAccess(definition, plan.access, reader),
    residual: conjuncts(plan.residual).map(filterKey),
    order: plan.order,
  };
}

function scannedRows({ name }: TableDefinition, prefix: string | undefined, reader: StoreReader) {
  if (prefix === undefined) return reader.tableSize(name).entries;
  let rows = 0;
  reader.scan(name, { prefix, limit: ROWS_MAX }, () => {
    rows += 1;
    return true;
  });
  return rows;
}

function explainAccess(
  definition: TableDefinition,
  access: Access,
  reader: StoreReader,
): AccessExplanation {
  const { kind } = access;
  switch (access.kind) {
    case 'index': {
      const rows = reader.countByIndex(definition.name, access.span, ROWS_MAX);
      return { kind, attribute: access.span.attribute, rows };
    }
    case 'scan':
      return { kind, prefix: access.prefix, rows: scannedRows(definition, access.prefix, reader) };
    case 'union': {
      const branches = access.branches.slice(0, BRANCHES_MAX);
      return {
        kind,
        branches: branches.map((branch) => explainAccess(definition, branch.access, reader)),
      };
    }
    case 'join': {
      const { relation, inner, residual } = access;
      const { definition: target } = relation.target;
      const related = {
        table: target.name,
        access: explainAccess(target, inner, reader),
        residual: conjuncts(residual).map(filterKey),
      };
      const [attribute] = relation.here.path;
      return { kind, relationship: relation.name, attribute, related };
    }
    default:
      return { kind, rows: access.kind === 'empty' ? 0 : 1 };
  }
}
