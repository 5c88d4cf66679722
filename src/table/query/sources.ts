/**
 * Entries along an access, batch by batch. A source holds nothing between batches but the place
 * where it stopped, so a reader that waits keeps no transaction open.
 */
import type { RecordId, TableName } from '../../base/brands.ts';
import type { Entry } from '../../cache/entry.ts';
import { variantsOf } from '../../cache/pages/page-entries.ts';
import { LIMITS } from '../../config/limits.ts';
import type { IndexHit, IndexPageOptions, IndexSpan, StoreReader } from '../store-port.ts';
import type { Access, Branch } from './access.ts';
import type { Step } from './cursor.ts';
import { JoinSource } from './join-source.ts';
import { compileFilter } from './matches.ts';
import type { Row, RowTest } from './query.ts';
import { queryTooExpensive } from './query-error.ts';
import type { Related } from './related.ts';
import type { RowJson } from './row-json.ts';
import { noRow, parseRow } from './rows.ts';

/**
 * An entry on the way and where it stands; `undefined` for one that was looked at and passed over.
 * `row` parses the record when it is asked for. False ends the batch.
 */
export type Visit = (entry: Entry | undefined, row: () => Row, hit?: IndexHit) => boolean;

export interface Source {
  /** Visits one batch; true when the way has ended. */
  pull(visit: Visit): boolean;
  /** Behind the last entry visited; `undefined` before the first. */
  readonly steps: readonly Step[] | undefined;
}

export interface SourceParts {
  readonly reader: StoreReader;
  readonly table: TableName;
  readonly jsonOf: RowJson;
  /** Whether several entries may stand under one id, as the variants of a page do. */
  readonly hasVariants: boolean;
  /** Follows relationships. */
  readonly related: Related;
  /** Entries that will hardly be exceeded, for the size of the first batch. */
  readonly rowsWanted: number;
}

/** Parses a record at most once; what is no JSON object is a row without attributes. */
function lazyRow(entry: Entry, jsonOf: RowJson): () => Row {
  let row: Row | undefined;
  return () => {
    row ??= parseRow(jsonOf(entry));
    return row;
  };
}

export type OpenSource = (access: Access, parts: SourceParts) => Source;

/** `steps` continue a way that was left. */
export function openSource(
  access: Access,
  parts: SourceParts,
  steps: readonly Step[] = [],
): Source {
  const [step] = steps;
  switch (access.kind) {
    case 'empty':
      return NOTHING;
    case 'record':
      if (step !== undefined) return NOTHING;
      return parts.hasVariants
        ? new VariantSource(access.id, parts)
        : new RecordSource(access.id, parts);
    case 'scan':
      return new ScanSource(access.prefix, parts, idOf(step));
    case 'index':
      return new IndexSource(access.span, parts, {
        mayRepeat: access.mayRepeat,
        after: hitOf(step),
      });
    case 'union':
      return new UnionSource(access.branches, parts, steps);
    case 'join': // Never over pages, so there are no steps to go on from.
      return new JoinSource(access, parts, openSource);
  }
}

const idOf = (step: Step | undefined): RecordId | undefined =>
  step !== undefined && 'id' in step ? step.id : undefined;

const hitOf = (step: Step | undefined): IndexHit | undefined =>
  step !== undefined && 'id' in step && step.value !== undefined
    ? { id: step.id, value: step.value }
    : undefined;

const NOTHING: Source = { pull: () => true, steps: undefined };

class RecordSource implements Source {
  readonly #id: RecordId;
  readonly #parts: SourceParts;
  steps: readonly Step[] | undefined;

  constructor(id: RecordId, parts: SourceParts) {
    this.#id = id;
    this.#parts = parts;
  }

  pull(visit: Visit): boolean {
    const { reader, table, jsonOf } = this.#parts;
    this.steps = [{ id: this.#id }];
    reader.withEntry(table, this.#id, '', (entry) => {
      if (entry !== undefined) visit(entry, lazyRow(entry, jsonOf));
    });
    return true;
  }
}

/** All variants of one id. */
class VariantSource implements Source {
  readonly #id: RecordId;
  readonly #parts: SourceParts;
  steps: readonly Step[] | undefined;

  constructor(id: RecordId, parts: SourceParts) {
    this.#id = id;
    this.#parts = parts;
  }

  pull(visit: Visit): boolean {
    const { reader, table, jsonOf } = this.#parts;
    this.steps = [{ id: this.#id }];
    const see = (entry: Entry | undefined): void => {
      if (entry !== undefined) visit(entry, lazyRow(entry, jsonOf));
    };
    const variants = reader.withEntry(table, this.#id, '', (entry) => {
      if (entry?.kind === 'vary') return [...variantsOf(entry.body).keys()];
      see(entry);
      return [];
    });
    for (const variant of variants) reader.withEntry(table, this.#id, variant, see);
    return true;
  }
}

class ScanSource implements Source {
  readonly #prefix: string | undefined;
  readonly #parts: SourceParts;
  #last: RecordId | undefined;

  constructor(prefix: string | undefined, parts: SourceParts, after: RecordId | undefined) {
    this.#prefix = prefix;
    this.#parts = parts;
    this.#last = after;
  }

  get steps(): readonly Step[] | undefined {
    return this.#last === undefined ? undefined : [{ id: this.#last }];
  }

  pull(visit: Visit): boolean {
    const { reader, table, jsonOf } = this.#parts;
    const options = { after: this.#last, prefix: this.#prefix, limit: LIMITS.queryPageRowsMax };
    const page = reader.scan(table, options, (entry) => {
      this.#last = entry.id;
      return visit(entry, lazyRow(entry, jsonOf));
    });
    return page.next === undefined;
  }
}

export interface IndexSourceOptions extends Pick<IndexPageOptions, 'after' | 'from'> {
  readonly mayRepeat: boolean;
  readonly isDescending?: boolean | undefined;
}

export class IndexSource implements Source {
  readonly #span: IndexSpan;
  readonly #parts: SourceParts;
  readonly #options: IndexSourceOptions;
  readonly #seen: Set<RecordId> | undefined;
  #last: IndexHit | undefined;
  #batch: number;

  constructor(span: IndexSpan, parts: SourceParts, options: IndexSourceOptions) {
    this.#span = span;
    this.#parts = parts;
    this.#options = options;
    this.#seen = options.mayRepeat ? new Set() : undefined;
    this.#last = options.after;
    this.#batch = Math.min(LIMITS.queryPageRowsMax, Math.max(1, parts.rowsWanted));
  }

  get steps(): readonly Step[] | undefined {
    const last = this.#last;
    return last === undefined ? undefined : [{ id: last.id, value: last.value }];
  }

  pull(visit: Visit): boolean {
    const { reader, table, jsonOf } = this.#parts;
    const { isDescending, from } = this.#options;
    const limit = this.#batch;
    const page = { limit, after: this.#last, from, isDescending };
    const hits = reader.indexPage(table, this.#span, page);
    this.#batch = LIMITS.queryPageRowsMax;
    for (const hit of hits) {
      this.#last = hit;
      if (this.#isRepeated(hit.id)) continue;
      const goesOn = reader.withEntry(table, hit.id, '', (entry) =>
        entry === undefined ? true : visit(entry, lazyRow(entry, jsonOf), hit),
      );
      if (!goesOn) return false;
    }
    return hits.length < limit;
  }

  #isRepeated(id: RecordId): boolean {
    if (this.#seen === undefined) return false;
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    if (this.#seen.size > LIMITS.queryDuplicatesMax) {
      throw queryTooExpensive(
        'queryDuplicatesMax',
        `more than ${LIMITS.queryDuplicatesMax} records would have to be remembered to answer ` +
          'each once; narrow the range',
      );
    }
    return false;
  }
}

/** Branches one after the other; a row that an earlier branch has given is passed over. */
class UnionSource implements Source {
  readonly #branches: readonly Branch[];
  readonly #parts: SourceParts;
  readonly #earlier: RowTest[] = [];
  #at = 0;
  #source: Source | undefined;
  #residual: RowTest | undefined;

  constructor(branches: readonly Branch[], parts: SourceParts, steps: readonly Step[]) {
    this.#branches = branches;
    this.#parts = parts;
    const [step, ...inner] = steps;
    if (step === undefined || !('branch' in step)) return;
    while (this.#at < Math.min(step.branch, branches.length)) this.#leaveBranch();
    this.#source = this.#open(inner);
  }

  get steps(): readonly Step[] | undefined {
    return [{ branch: this.#at }, ...(this.#source?.steps ?? [])];
  }

  pull(visit: Visit): boolean {
    this.#source ??= this.#open([]);
    const source = this.#source;
    if (source === undefined) return true;
    const earlier = this.#earlier;
    const residual = this.#residual;
    const isOver = source.pull((entry, row, hit) => {
      if (entry === undefined) return visit(undefined, noRow);
      const { id } = entry;
      const isMember =
        (residual === undefined || residual(row(), id)) &&
        !earlier.some((matches) => matches(row(), id));
      return isMember ? visit(entry, row, hit) : visit(undefined, noRow);
    });
    if (!isOver) return false;
    this.#leaveBranch();
    return this.#at >= this.#branches.length;
  }

  #open(steps: readonly Step[]): Source | undefined {
    const branch = this.#branches[this.#at];
    if (branch === undefined) return undefined;
    const { access, filter } = branch;
    // What the way of the branch does not answer is looked at in the row.
    this.#residual = access.covers.includes(filter)
      ? undefined
      : compileFilter(filter, this.#parts.related);
    return openSource(access, this.#parts, steps);
  }

  #leaveBranch(): void {
    const branch = this.#branches[this.#at];
    if (branch !== undefined && !branch.isApart)
      this.#earlier.push(compileFilter(branch.filter, this.#parts.related));
    this.#at += 1;
    this.#source = undefined;
  }
}
