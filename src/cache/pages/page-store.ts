/**
 * What is stored of a page: the draft of a reply, the marker of one that is for its owner only, and
 * the end of the flight once the store is done with it. Failing to store never fails the read.
 */
import { type DraftContext, draftOfPass, draftOfReply } from '../draft.ts';
import type { Entry, StoredBody } from '../entry.ts';
import { entryOfDraft } from '../plain-entry.ts';
import type { FillDraft } from '../ports.ts';
import { fieldOf, filterFields } from './fields.ts';
import { withVariant } from './page-entries.ts';
import type { PageFacts } from './page-facts.ts';
import type { Fetch } from './page-flight.ts';
import type { PageRun } from './page-run.ts';
import {
  type ContentRange,
  formatContentRange,
  joinParts,
  type Part,
  parseContentRange,
  rangeOf,
} from './partial.ts';
import type { Keeping, SharedBody } from './shared-body.ts';
import { decodeFields, encodeFields, storedFields } from './stored-fields.ts';
import { groupOnHost } from './unsafe.ts';
import { variantFields, variantKey, varyNames } from './vary.ts';

const NO_BYTES = new Uint8Array(0);

export function draftOf(run: PageRun, fetch: Fetch, facts: PageFacts, lines: string[]): FillDraft {
  const draft = draftOfReply(
    { kind: 'found', body: NO_BYTES, facts },
    contextOf(run, fetch, facts),
  );
  const fields = storedFields(lines, facts);
  const range = facts.status === 206 ? rangeOf(run.page) : undefined;
  return {
    ...draft,
    meta: {
      ...draft.meta,
      ...groupsOn(run.page.client.host, draft.meta.groups),
      fieldLines: encodeFields(fields),
      ...(range === undefined ? {} : { askedRange: range }),
      ...(draft.variant === '' ? {} : { variant: variantFields(draft.variant) }),
    },
  };
}

/** Groups by their names, and as those of the host they were told for [RFC9875 §2.1]. */
export function groupsOn(
  host: string,
  groups: readonly string[] | undefined,
): { readonly groups?: readonly string[] } {
  if (groups === undefined) return {};
  // Groups of records are this node's, whatever the host.
  const own = groups.filter((group) => !group.includes(';v='));
  return { groups: [...groups, ...own.map((group) => groupOnHost(host, group))] };
}

function contextOf(run: PageRun, fetch: Fetch, facts: PageFacts): DraftContext {
  const { held } = fetch.errand;
  const variant = variantFor(run, fetch, facts);
  return {
    request: { id: run.page.id, variant },
    policy: run.policy,
    stamp: fetch.stamp,
    replaces: held !== undefined && fetch.errand.variant === variant ? held.version : undefined,
    random: run.deps.random(),
  };
}

/** Where the reply is stored: under the fields that it, or the page's other variants, vary by. */
function variantFor(run: PageRun, { errand }: Fetch, facts: PageFacts): string {
  const names = varyNames(facts.vary).filter((name) => name !== '*');
  return names.length === 0 ? errand.variant : variantKey(names, run.page.field);
}

/** How much of a body is kept, and where; 0: it is passed on only. */
export const keepingOf = ({ deps }: PageRun, max: number): Keeping => ({
  max,
  bodies: deps.bodies,
  onLost: (error) => deps.events.fillLost?.(deps.table, 'failed', error),
});

interface Kept {
  readonly facts: PageFacts;
  readonly draft: FillDraft;
  readonly isWorth: boolean;
  readonly obstacle: string | undefined;
  readonly body: SharedBody;
}

/** Why others would get another reply. */
const FOR_ONE: ReadonlySet<string> = new Set(['private', 'set-cookie', 'no-store', 'cookie']);

export async function keep(run: PageRun, fetch: Fetch, kept: Kept): Promise<void> {
  const { facts, draft, isWorth, obstacle, body } = kept;
  if (!isWorth) {
    const marker =
      FOR_ONE.has(obstacle ?? '') && fetch.flight !== undefined && fetch.errand.held === undefined
        ? draftOfPass(facts.receivedAt, contextOf(run, fetch, facts))
        : undefined;
    return finish(run, fetch, facts, marker);
  }
  const whole = await body.whole;
  const complete = whole === undefined ? undefined : completed(run, fetch, facts, draft, whole);
  await finish(run, fetch, facts, complete);
}

/** With the part that is held, when the two touch and are of one representation. */
function completed(
  run: PageRun,
  { errand: { held } }: Fetch,
  facts: PageFacts,
  draft: FillDraft,
  body: Uint8Array | StoredBody,
): FillDraft {
  const lines = decodeFields(draft.meta.fieldLines);
  const added = parseContentRange(fieldOf(lines, 'content-range'));
  const isPart = facts.status === 206 && added?.total !== undefined && body instanceof Uint8Array;
  if (!isPart || held === undefined || body.length !== lengthOf(added))
    return wholeDraft(draft, facts, body);
  const stored = heldPart(run, held, draft, added.total);
  const joined = stored && joinParts(stored, { first: added.first, bytes: body });
  const max = run.policy.settings.store.bodyMax;
  if (joined === undefined || joined.bytes.length > max) return wholeDraft(draft, facts, body);
  const { first, bytes } = joined;
  const range = { first, last: first + bytes.length - 1, total: added.total };
  const kept = filterFields(lines, (name) => name !== 'content-range');
  const fieldLines = encodeFields([...kept, 'content-range', formatContentRange(range)]);
  const { askedRange: _, ...meta } = draft.meta;
  return wholeDraft({ ...draft, meta: { ...meta, fieldLines } }, facts, bytes);
}

/** What is held, when it is a part of the same representation [RFC9111 §3.4]. */
function heldPart(
  { deps }: PageRun,
  held: Entry,
  { meta }: FillDraft,
  total: number,
): Part | undefined {
  const tag = held.meta.originTag;
  if (held.status !== 206 || held.storedBody !== undefined) return undefined;
  if (tag === undefined || tag !== meta.originTag || !tag.startsWith('"')) return undefined;
  if (deps.invalidations.judge(held).kind === 'hard') return undefined;
  const range = parseContentRange(fieldOf(decodeFields(held.meta.fieldLines), 'content-range'));
  if (range?.total !== total || held.body.length !== lengthOf(range)) return undefined;
  return { first: range.first, bytes: held.body };
}

const lengthOf = ({ first, last }: ContentRange): number => last - first + 1;

/** A part that is all there is of the page is stored as the page. */
function wholeDraft(draft: FillDraft, facts: PageFacts, body: Uint8Array | StoredBody): FillDraft {
  if (facts.status !== 206) return { ...draft, body };
  const lines = decodeFields(draft.meta.fieldLines);
  const part = parseContentRange(fieldOf(lines, 'content-range'));
  if (part?.first !== 0 || part.total !== body.length) return { ...draft, body };
  const fieldLines = encodeFields(filterFields(lines, (name) => name !== 'content-range'));
  const { askedRange: _, ...meta } = draft.meta;
  return { ...draft, status: 200, body, meta: { ...meta, fieldLines } };
}

/** Stores what is to be stored, then lets later reads begin with the store again. */
export async function finish(
  run: PageRun,
  fetch: Fetch,
  facts: PageFacts,
  draft: FillDraft | undefined,
): Promise<void> {
  const stored = draft !== undefined && (await store(run, facts, draft));
  if (fetch.flight !== undefined) run.flights.end(fetch.flight);
  if (fetch.lease === undefined) return;
  const marker = draftOfPass(facts.receivedAt, contextOf(run, fetch, facts));
  const entry = entryOfDraft(marker, run.deps.tagOf);
  const originStatus = facts.status;
  fetch.lease.settle({ kind: 'reply', entry, stored, shareable: stored, originStatus });
}

async function store(run: PageRun, facts: PageFacts, draft: FillDraft): Promise<boolean> {
  const { entries, events, table } = run.deps;
  const names = varyNames(facts.vary);
  const language = facts.contentLanguage ?? '';
  try {
    if (names.length === 0) return await entries.store(draft, undefined, []);
    const added = { variant: draft.variant, language };
    const max = run.policy.settings.vary.variantsMax;
    const { row, evicted } = entries.withEntry(draft.id, '', (old) =>
      withVariant(old, names, added, max),
    );
    return await entries.store(draft, row, evicted);
  } catch (error) {
    events.fillLost?.(table, 'failed', error);
    return false;
  }
}
