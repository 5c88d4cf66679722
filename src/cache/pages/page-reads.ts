/**
 * Answers one request for a page: from the store when RFC 9111 allows it, else from the origin,
 * once for all who wait. The decision is `decide`'s and the flights are those of every read
 * (`../SPEC.md`); what differs is that a reply is handed on while it arrives (`SPEC.md` here).
 *
 *  selecting ─► deciding ─┬─ reuse (refresh behind) ────────────────► answered
 *                         ├─ refuse (only-if-cached) ───────────────► refused
 *                         └─ forward ─► joining ─┬─ lead ─► fetching ─┬─ 304 ─► fresh ─► answered
 *                                                ├─ follow ─► waiting │
 *                                                └─ turned away       ├─ head ► answered, arriving
 *                                                                     └─ failure ► stale | failed
 *
 * A hit is synchronous from `read` to `answer`, on a view of the store.
 */
import type { CacheFigures } from '../../base/bounded-cache.ts';
import { Flights } from '../collapse.ts';
import { decide, type Forward } from '../decide.ts';
import type { Entry } from '../entry.ts';
import type { ResultWord } from '../events.ts';
import type { CachePolicy } from '../policy.ts';
import type { InvalidationVerdict } from '../ports.ts';
import { REFUSED, reusedResult } from '../results.ts';
import { fieldOf } from './fields.ts';
import { variantInLanguage, varyNamesOf } from './page-entries.ts';
import { type PageErrand, type PageReply, ROUNDS_MAX } from './page-flight.ts';
import { forwardPage, refreshPage } from './page-join.ts';
import { type PageUpgrade, passOn, passUpgrade } from './page-pass.ts';
import type { PageAnswer, PageRequest, PageResult } from './page-request.ts';
import { type PolicyOfPath, policyByPath } from './page-rules.ts';
import type { PageReadsDeps, PageRun } from './page-run.ts';
import { parseContentRange, rangeOf, sliceOfPart } from './partial.ts';
import type { PageOriginReply, UpgradedOrigin } from './ports.ts';
import { decodeFields } from './stored-fields.ts';
import { storedPage } from './stored-result.ts';
import { type FieldLookup, variantKey } from './vary.ts';

const VALID: InvalidationVerdict = Object.freeze({ kind: 'valid' });

/** The pages of one table on one thread. */
export class PageReads {
  readonly #deps: PageReadsDeps;
  readonly #flights: Flights<PageReply>;
  #policyOf: PolicyOfPath;

  constructor(deps: PageReadsDeps) {
    this.#deps = deps;
    this.#policyOf = policyByPath(deps.policy);
    this.#flights = new Flights({
      failureMarkersBytes: deps.limits.failureMarkersBytes,
    });
  }

  /** Reads from now on follow `policy`; those under way keep theirs. */
  usePolicy(policy: CachePolicy): void {
    this.#policyOf = policyByPath(policy);
  }

  /** What is kept in memory beside the store. */
  get memory(): CacheFigures {
    return this.#flights.figures;
  }

  /** What holds for the page at this path. */
  policyOf(path: string): CachePolicy {
    return this.#policyOf(path);
  }

  /** Calls `answer` once; before returning when the store can answer. */
  read(page: PageRequest, answer: PageAnswer): void | Promise<void> {
    const run = this.#run(page, (result) => {
      this.#deps.events.answered?.(this.#deps.table, wordOf(result));
      answer(result);
    });
    if (page.method !== 'GET' && page.method !== 'HEAD') return passOn(run);
    return select(run, 0);
  }

  /**
   * Calls `fn` at once with what is stored for such a request, be it fresh or not: a view that is
   * good during the call only.
   */
  withStored<T>(id: string, field: FieldLookup, fn: (entry: Entry | undefined) => T): T {
    const { entries } = this.#deps;
    const found = entries.withEntry(id, '', (row) =>
      row?.kind === 'vary' ? new Varying(row, field) : { value: fn(row) },
    );
    return found instanceof Varying ? entries.withEntry(id, found.variant, fn) : found.value;
  }

  /** Resolves when nothing of this page is about to be readable. */
  async settled(id: string): Promise<void> {
    await this.#flights.find(`${this.#deps.table}\u0000${id}\u0000`, () => true)?.ended;
  }

  /** A WebSocket for the origin: its connection, or what it answered instead. */
  upgrade(request: PageUpgrade): Promise<UpgradedOrigin | PageOriginReply> {
    return passUpgrade(this.#deps, request);
  }

  #run(page: PageRequest, answer: PageAnswer): PageRun {
    const deps = this.#deps;
    return {
      deps,
      flights: this.#flights,
      policy: page.policy,
      page,
      request: page,
      answer,
      now: deps.clock.now(),
      isOrigin: false,
      fedSince: undefined,
      select,
    };
  }
}

/**
 * `round`: how often another's fetch was waited for; after the last, what the store does not have
 * is fetched alone. The variant is read after the row that tells of it, not within: the one view of
 * the store is then free, and nothing is copied.
 */
function select(run: PageRun, round: number): void | Promise<void> {
  const { id, field } = run.page;
  const found = run.deps.entries.withEntry(id, '', (row) =>
    row?.kind === 'vary'
      ? new Varying(row, field)
      : decideOn(run, { entry: row, variant: '', varies: false }, round),
  );
  return found instanceof Varying ? selectVariant(run, found, round) : found;
}

/** What a `vary` row says to one request. */
class Varying {
  readonly variant: string;
  /** Where another variant may do when there is none in the language asked for. */
  readonly row: Entry | undefined;

  constructor(row: Entry, field: FieldLookup) {
    const names = varyNamesOf(row.body);
    this.variant = variantKey(names, field);
    this.row = names.includes('accept-language') ? row.retain() : undefined;
  }
}

function selectVariant(
  run: PageRun,
  { variant, row }: Varying,
  round: number,
): void | Promise<void> {
  const { entries } = run.deps;
  const { id, field } = run.page;
  const other = () => (row === undefined ? undefined : variantInLanguage(row, field));
  return entries.withEntry(id, variant, (entry) => {
    const spoken = entry === undefined ? other() : undefined;
    if (spoken === undefined) return decideOn(run, { entry, variant, varies: true }, round);
    return entries.withEntry(id, spoken, (found) =>
      decideOn(
        run,
        { entry: found, variant: found === undefined ? variant : spoken, varies: true },
        round,
      ),
    );
  });
}

interface Selected {
  readonly entry: Entry | undefined;
  readonly variant: string;
  /** There are variants of the page, whether or not this one is here. */
  readonly varies: boolean;
}

function decideOn(
  run: PageRun,
  { entry, variant, varies }: Selected,
  round: number,
): void | Promise<void> {
  const verdict = entry === undefined ? VALID : run.deps.invalidations.judge(entry);
  const missing = varies ? 'vary-miss' : 'uri-miss';
  const decision = decide(run, { entry, verdict, missing, handed: false });
  if (decision.kind === 'refuse') return run.answer?.({ ...REFUSED, kind: 'refused' });
  const errandOf = (forward: Forward): PageErrand => ({
    forward,
    held: forward.store ? entry?.retain() : undefined,
    variant,
    round,
  });
  if (decision.kind === 'forward') {
    const alone = round >= ROUNDS_MAX ? { ...decision, shared: false } : decision;
    return forwardPage(run, errandOf(alone));
  }
  if (decision.kind !== 'reuse' || entry === undefined) return forwardPage(run, errandOf(PARTIAL));
  if (!holdsWhatIsWanted(run, entry)) {
    return run.page.directives.onlyIfCached
      ? run.answer?.({ ...REFUSED, kind: 'refused' })
      : forwardPage(run, errandOf(PARTIAL));
  }
  const { cacheStatus } = reusedResult(entry, run.now, verdict, decision.permission);
  const stored = storedPage(run, { entry, variant }, run.now, cacheStatus);
  if (stored === undefined)
    return forwardPage(run, { forward: LOST, held: undefined, variant, round });
  const refresh = decision.refreshBehind ? errandOf(REFRESH) : undefined;
  run.answer?.(stored);
  if (refresh !== undefined) refreshPage(run, refresh);
}

/** A stored part answers only a range that lies within it, or the very range it came for. */
function holdsWhatIsWanted(run: PageRun, entry: Entry): boolean {
  if (entry.status !== 206) return true;
  const range = rangeOf(run.page);
  if (range === undefined) return false;
  const lines = decodeFields(entry.meta.fieldLines);
  if (entry.meta.askedRange === range) return true;
  const part = parseContentRange(fieldOf(lines, 'content-range'));
  return part !== undefined && sliceOfPart(range, part, entry.bodyLength) !== undefined;
}

const PARTIAL: Forward = Object.freeze({
  kind: 'forward',
  reason: 'partial',
  conditional: false,
  fallback: false,
  store: true,
  shared: true,
});

/** What is stored has lost its body. */
const LOST: Forward = Object.freeze({ ...PARTIAL, reason: 'miss' });

const REFRESH: Forward = Object.freeze({
  kind: 'forward',
  reason: 'stale',
  conditional: true,
  fallback: false,
  store: true,
  shared: true,
});

function wordOf(result: PageResult): ResultWord {
  const { cacheStatus } = result;
  if (result.kind !== 'stored') return cacheStatus.fwd === 'bypass' ? 'bypass' : 'miss';
  if (!cacheStatus.hit) return cacheStatus.fwdStatus === 304 ? 'revalidated' : 'stale';
  return cacheStatus.detail === undefined ? 'hit' : 'stale';
}
