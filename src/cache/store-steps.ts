/**
 * The states of a read between the origin's reply and the answer: freshening and storing. The
 * flight is settled as soon as the reply is judged, and ends when its entry is readable or storing
 * was given up.
 *
 * Invariant: a store that fails, sheds or refuses never fails the read, and one that hangs does not
 * keep it [R7]: the flight has the reply in memory until the store is done with it.
 */
import { durationMs, type RecordVersion } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import {
  type DraftContext,
  draftOfFreshening,
  draftOfPass,
  draftOfReply,
  isUseful,
} from './draft.ts';
import type { Entry } from './entry.ts';
import { entryOfDraft } from './plain-entry.ts';
import type { Beside, FillDraft, OriginReply, ReplyFacts } from './ports.ts';
import { fetchedResult } from './results.ts';
import type { Fetch, Final, Freshening, Run, Storing } from './states.ts';
import { isShareable, notStorable } from './storable.ts';

/** A client's wait for the store, whose disk may hang; most commits take a hundredth of it. */
const FILL_WAIT = durationMs(1_000);

/** Updates the entry from a 304 [RFC9111 §4.3.4]; the store sees that the bytes are the same. */
export function freshening(run: Run, state: Freshening): Promise<Final> {
  // What is judged and stored is the stored response under its own status.
  const facts = { ...state.facts, status: state.entry.status };
  const draft = draftOfFreshening(facts, state.entry, contextOf(run, state));
  return keep(run, state, { facts, beside: state.beside }, draft, 'validated');
}

/** Stores the reply if it may be, shares it if it may be, and answers in any case [R7]. */
export function storing(run: Run, state: Storing): Promise<Final> {
  const draft = draftOfReply(state.reply, contextOf(run, state));
  return keep(run, state, state.reply, draft, 'fetched');
}

function contextOf(run: Run, state: Fetch): DraftContext {
  return {
    request: run.request,
    policy: run.policy,
    stamp: state.stamp,
    replaces: state.errand.held?.version,
    random: run.deps.random(),
  };
}

async function keep(
  run: Run,
  state: Fetch,
  { facts, beside }: Pick<OriginReply, 'facts' | 'beside'>,
  draft: FillDraft,
  served: 'validated' | 'fetched',
): Promise<Final> {
  const { flight, lease, errand } = state;
  const originStatus = served === 'validated' ? 304 : facts.status;
  const shareable = isShareable(facts, run.policy);
  const entry = entryOfDraft(draft, run.deps.tagOf);
  const outcome = { kind: 'reply', entry, stored: false, shareable, originStatus } as const;
  flight?.settle(outcome);
  const chosen = draftToKeep(run, state, facts, draft);
  const keeping = keepDraft(run, chosen, beside).then((version): Kept => {
    const stored = version !== undefined && chosen === draft;
    const kept = stored ? entryOfDraft(draft, () => entry.entityTag, version) : entry;
    if (flight !== undefined) run.flights.end(flight);
    lease?.settle({ ...outcome, entry: kept, stored });
    return { entry: kept, stored };
  });
  const kept = await within(run.deps.clock, keeping, { entry, stored: false });
  const paced = run.answer && run.deps.pace?.answers.pass(run.request.source);
  if (paced !== undefined) await paced;
  const fetch = { served, originStatus, stored: kept.stored, collapsed: false } as const;
  const result = fetchedResult(kept.entry, errand, fetch);
  return { kind: 'answered', result, refresh: undefined };
}

interface Kept {
  readonly entry: Entry;
  readonly stored: boolean;
}

/** What becomes of the draft, or `otherwise` when the store takes too long to say. */
function within(clock: Clock, keeping: Promise<Kept>, otherwise: Kept): Promise<Kept> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(FILL_WAIT, () => resolve(otherwise));
    keeping.then(
      (kept) => {
        cancel();
        resolve(kept);
      },
      (error) => {
        cancel();
        reject(error);
      },
    );
  });
}

/** The draft itself, a pass marker in its place, or nothing. */
function draftToKeep(
  run: Run,
  state: Fetch,
  facts: ReplyFacts,
  draft: FillDraft,
): FillDraft | undefined {
  if (!state.errand.forward.store) return undefined;
  const obstacle = notStorable(facts, draft.body.length, run.policy);
  if (obstacle === undefined) {
    // What is of no use by itself still has to take the place of what it proves wrong.
    return isUseful(draft) || state.errand.held !== undefined ? draft : undefined;
  }
  if (state.flight === undefined || isShareable(facts, run.policy)) return undefined;
  return draftOfPass(facts.receivedAt, contextOf(run, state));
}

/** The version under which the store keeps the draft; `undefined` when it does not [R7]. */
async function keepDraft(
  run: Run,
  draft: FillDraft | undefined,
  beside: Beside | undefined,
): Promise<RecordVersion | undefined> {
  const { entries, events, table } = run.deps;
  try {
    if (draft === undefined) {
      if (beside !== undefined) await entries.fillBeside?.(beside);
      return undefined;
    }
    const outcome = await entries.fill(draft, beside);
    if (outcome.kind === 'stored') return outcome.version;
    if (outcome.kind === 'shed') events.fillLost?.(table, 'shed');
    return undefined;
  } catch (error) {
    events.fillLost?.(table, 'failed', error);
    return undefined;
  }
}
