/**
 * How a query is answered: the narrowest way to its rows by cheap, bounded counts, what is still to
 * be looked at in each row, and whether the way yields the wanted order by itself.
 */
import type { TableName } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import type { ScalarType } from '../../schema/definition.ts';
import type { StoreReader } from '../store-port.ts';
import { type Access, accessesOf, type Choose, residualOf, SCAN } from './access.ts';
import { fingerprint, type ParsedCursor, parseCursor } from './cursor.ts';
import type { Filter, Query, SortKey } from './query.ts';
import type { Relation } from './scope.ts';

export interface Plan {
  readonly access: Access;
  /** To be looked at in each row; `undefined` when the way answers all. */
  readonly residual: Filter | undefined;
  /**
   * `way`: rows come as they are found; `index`: in the order of the first sort key, further keys
   * are sorted within; `memory`: all rows are gathered first.
   */
  readonly order: 'way' | 'index' | 'memory';
  /** Where to go on. */
  readonly cursor: ParsedCursor | undefined;
}

export type PlanReader = Pick<StoreReader, 'countByIndex' | 'tableSize'>;

/** Few enough rows that sorting them beats walking an index past all that do not match. */
const SORTED_GLADLY_MAX = 1_000;
/** Counting costs about a microsecond a row: more would cost most queries more than it saves. */
const COUNT_ROUNDS = [64, 512];

/** Types whose every value stands in an index exactly once, in the order of their values. */
const WALKABLE: ReadonlySet<ScalarType> = new Set<ScalarType>([
  'ID',
  'String',
  'Int',
  'Long',
  'Float',
  'Boolean',
  'Date',
]);

export function planQuery(query: Query, table: TableName, reader: PlanReader): Plan {
  const isSorted = query.sort.length > 0;
  const cursor = query.after ? parseCursor(query.after, query.signature, isSorted) : undefined;
  const chooser = new Chooser(table, reader, query.after !== undefined && !isSorted);
  const accesses = accessesOf(query.filter, chooser);
  if (isSorted) return sortedPlan(query, accesses, chooser, cursor);
  const access = cursor?.kind === 'rows' ? pinned(accesses, cursor) : chooser.narrowest(accesses);
  return planOf(query, access ?? SCAN, 'way', cursor);
}

function sortedPlan(
  query: Query,
  accesses: readonly Access[],
  chooser: Chooser,
  cursor: ParsedCursor | undefined,
): Plan {
  const narrow = chooser.narrowest(accesses);
  const walk = walkOf(query.sort[0], accesses);
  const isNarrow =
    narrow !== undefined && chooser.count(narrow, SORTED_GLADLY_MAX + 1) <= SORTED_GLADLY_MAX;
  if (walk === undefined || isNarrow) return planOf(query, narrow ?? SCAN, 'memory', cursor);
  return planOf(query, walk, 'index', cursor);
}

function planOf(
  query: Query,
  access: Access,
  order: Plan['order'],
  cursor: ParsedCursor | undefined,
): Plan {
  return { access, residual: residualOf(query.filter, access), order, cursor };
}

/** The index of the first sort key, within the range that the filter asks of it. */
function walkOf(key: SortKey | undefined, accesses: readonly Access[]): Access | undefined {
  const indexed = key?.field.indexed;
  if (key === undefined || indexed === undefined || indexed.list) return undefined;
  if (!WALKABLE.has(key.field.type)) return undefined;
  const attribute = indexed.name;
  const within = accesses.find(
    (each) => each.kind === 'empty' || (each.kind === 'index' && each.span.attribute === attribute),
  );
  const whole = { kind: 'index', name: `walk ${attribute}`, mayRepeat: false, covers: [] } as const;
  return within ?? { ...whole, span: { attribute } };
}

/** A cursor goes on the way it came, whatever the counts say now. */
function pinned(
  accesses: readonly Access[],
  cursor: Extract<ParsedCursor, { kind: 'rows' }>,
): Access {
  const access = [...accesses, SCAN].find((each) => fingerprint(each.name) === cursor.accessPrint);
  if (access !== undefined) return access;
  const message = 'after() cannot go on: the indexes of the table have changed; begin again';
  throw new NodeError('QUERY_INVALID', message, { blame: 'client' });
}

/** Reading all related rows first pays where they are this many times fewer than the rows here. */
const FEWER_RELATED = 4;

class Chooser implements Choose {
  readonly #table: TableName;
  readonly #reader: PlanReader;
  readonly #isPaged: boolean;

  constructor(table: TableName, reader: PlanReader, isPaged: boolean) {
    this.#table = table;
    this.#reader = reader;
    this.#isPaged = isPaged;
  }

  /** For a part of a union: over pages always the same, whatever the counts say. */
  among(accesses: readonly Access[]): Access | undefined {
    return this.#isPaged ? this.#usable(accesses)[0] : this.narrowest(accesses);
  }

  related({ target }: Relation, filter: Filter): Access | undefined {
    // Over pages a way by other rows could not be gone on with.
    if (this.#isPaged) return undefined;
    const table = target.definition.name;
    const chooser = new Chooser(table, this.#reader, false);
    const way = chooser.narrowest(accessesOf(filter, chooser));
    if (way !== undefined) return way;
    const isSmall = chooser.#size * FEWER_RELATED <= this.#size;
    return isSmall ? SCAN : undefined;
  }

  get #size(): number {
    return this.#reader.tableSize(this.#table).entries;
  }

  /** Duplicates can be told within one answer, not over pages. */
  #usable(accesses: readonly Access[]): readonly Access[] {
    return this.#isPaged ? accesses.filter((each) => !repeats(each)) : accesses;
  }

  /** Counts are bounded and grow only while they cannot tell the ways apart. */
  narrowest(accesses: readonly Access[]): Access | undefined {
    const usable = this.#usable(accesses);
    if (usable.length <= 1) return usable[0];
    let best: Access | undefined;
    for (const max of COUNT_ROUNDS) {
      let least = Number.POSITIVE_INFINITY;
      for (const access of usable) {
        const count = this.count(access, max);
        if (count >= least) continue;
        least = count;
        best = access;
      }
      if (least < max) return best;
    }
    return best;
  }

  /** Rows of a way, counted up to about `max`. */
  count(access: Access, max: number): number {
    switch (access.kind) {
      case 'empty':
        return 0;
      case 'record':
        return 1;
      case 'scan': // Below a prefix there may be any number; an index is preferred.
        return Math.min(max, this.#size);
      case 'index':
        return this.#reader.countByIndex(this.#table, access.span, max);
      case 'union': {
        let sum = 0;
        for (const branch of access.branches) {
          if (sum >= max) break;
          sum += this.count(branch.access, max - sum);
        }
        return sum;
      }
      case 'join':
        return this.#joined(access, max);
    }
  }

  /** Guessed: as many rows for each related row as there are on average. */
  #joined({ relation, inner }: Extract<Access, { kind: 'join' }>, max: number): number {
    const chooser = new Chooser(relation.target.definition.name, this.#reader, this.#isPaged);
    const eachLeadsTo = relation.here.isKey ? 1 : Math.max(1, this.#size / chooser.#size);
    return Math.min(max, Math.ceil(chooser.count(inner, max) * eachLeadsTo));
  }
}

const repeats = (access: Access): boolean =>
  access.kind === 'index' ? access.mayRepeat : access.kind === 'union' && someRepeats(access);

const someRepeats = ({ branches }: Extract<Access, { kind: 'union' }>): boolean =>
  branches.some((branch) => repeats(branch.access));
