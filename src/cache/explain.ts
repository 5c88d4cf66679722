/**
 * Why `decide` decides as it does: the rule that comes first, in words, with the instants it looked
 * at. It asks `decide` itself for the decision and only finds the rule that leads there, so the two
 * cannot differ in what is done; for operators, never on the way of a request.
 */
import type { EpochMs } from '../base/brands.ts';
import {
  type Decision,
  type DecisionContext,
  decide,
  demandsNoStore,
  demandsValidation,
  isStaleForbidden,
  mayLookup,
  type Selection,
} from './decide.ts';
import { type EntryFacts, FOREVER, NEVER } from './entry.ts';
import { currentAge, isFresh, staleAllowance, staleFrom } from './freshness.ts';

export interface DecisionReport {
  /** What a read would do now. */
  readonly action:
    | 'serve'
    | 'serve stale'
    | 'serve stale, refresh behind'
    | 'ask the origin'
    | 'validate'
    | 'say that there is none'
    | 'refuse';
  /** Number of the rule of SPEC §4 that came first; 0: the table is its own origin. */
  readonly rule: number;
  readonly because: string;
  /** Whether the entry may answer all the same when the origin fails. */
  readonly coversFailure: boolean;
}

export function explainDecision(context: DecisionContext, selection: Selection): DecisionReport {
  const decision = decide(context, selection);
  const coversFailure = decision.kind === 'forward' && decision.fallback;
  const { rule, because } = ruleOf(context, selection);
  return { action: actionOf(decision), rule, because, coversFailure };
}

function actionOf(decision: Decision): DecisionReport['action'] {
  switch (decision.kind) {
    case 'absent':
      return 'say that there is none';
    case 'refuse':
      return 'refuse';
    case 'reuse':
      if (decision.permission === undefined) return 'serve';
      return decision.refreshBehind ? 'serve stale, refresh behind' : 'serve stale';
    case 'forward':
      return decision.conditional ? 'validate' : 'ask the origin';
  }
}

interface RuleFound {
  readonly rule: number;
  readonly because: string;
}

function ruleOf(context: DecisionContext, { entry, verdict, missing }: Selection): RuleFound {
  if (context.isOrigin) return asOrigin(context, entry, verdict.kind === 'hard');
  if (!mayLookup(context)) return { rule: 1, because: 'the policy does not let it be looked up' };
  if (demandsNoStore(context.request)) return { rule: 2, because: 'the request says no-store' };
  if (entry === undefined || entry.kind === 'tombstone') return nothingHeld(entry, missing);
  if (entry.kind === 'pass') return passMarker(context, entry, verdict.kind === 'valid');
  if (verdict.kind === 'hard') {
    return { rule: 5, because: 'it was invalidated after its fetch began, or purged' };
  }
  return onEntry(context, entry, verdict);
}

function asOrigin(
  { now }: DecisionContext,
  entry: EntryFacts | undefined,
  isHard: boolean,
): RuleFound {
  if (entry === undefined)
    return { rule: 0, because: 'no record is stored, and there is no origin' };
  if (entry.kind === 'tombstone') return { rule: 0, because: 'the record was deleted' };
  if (isHard) return { rule: 0, because: 'it was invalidated' };
  if (now >= entry.freshUntil) return { rule: 0, because: `it expired ${at(entry.freshUntil)}` };
  return { rule: 0, because: 'the table is its own origin: what is stored is the record' };
}

function nothingHeld(entry: EntryFacts | undefined, missing: Selection['missing']): RuleFound {
  if (entry?.kind === 'tombstone') return { rule: 3, because: 'the record was deleted here' };
  return missing === 'uri-miss'
    ? { rule: 3, because: 'nothing is stored under the key' }
    : { rule: 3, because: 'no variant is stored for these fields of the request' };
}

function passMarker({ now }: DecisionContext, entry: EntryFacts, isValid: boolean): RuleFound {
  const holds = now < entry.freshUntil && isValid;
  const why = holds
    ? `replies for this key are for one client only (marked until ${at(entry.freshUntil)})`
    : 'a marker of replies for one client only has run out';
  return { rule: 4, because: why };
}

function onEntry(
  context: DecisionContext,
  entry: EntryFacts,
  verdict: Selection['verdict'],
): RuleFound {
  const { now, request, policy } = context;
  if (entry.mustValidate) {
    return { rule: 6, because: 'the stored reply said no-cache: each use has to be validated' };
  }
  if (demandsValidation(context, entry)) {
    return { rule: 6, because: 'the request demands it (no-cache, max-age or min-fresh)' };
  }
  const age = `${Math.floor(currentAge(entry, now) / 1000)} s old`;
  if (isFresh(entry, now, verdict)) {
    return { rule: 7, because: `fresh until ${at(entry.freshUntil)}, and ${age}` };
  }
  const decided = decide(context, { entry, verdict, missing: 'uri-miss', handed: false });
  if (decided.kind === 'reuse' && decided.permission === undefined) {
    return { rule: 7, because: 'a live feed tells of every change, so time makes it no older' };
  }
  const since =
    verdict.kind === 'soft'
      ? `softly invalidated ${at(verdict.at)}`
      : `stale since ${at(staleFrom(entry, verdict))}`;
  if (isStaleForbidden(request, entry)) {
    return { rule: 8, because: `${since}, and must-revalidate or s-maxage forbids to use it so` };
  }
  if (decided.kind === 'reuse' && decided.permission === 'max-stale') {
    return { rule: 9, because: `${since}, within the request's max-stale` };
  }
  const windows = staleAllowance(entry, verdict, policy);
  if (now < windows.whileRevalidateUntil) {
    const until = at(windows.whileRevalidateUntil);
    return { rule: 10, because: `${since}; it may be used while it is refreshed until ${until}` };
  }
  const cover =
    now < windows.ifErrorUntil
      ? `; if the origin fails it is used until ${at(windows.ifErrorUntil)}`
      : '; no permission to use it stale is left';
  return { rule: 11, because: since + cover };
}

/** An instant for people. */
export function at(instant: EpochMs): string {
  if (instant === NEVER) return 'never';
  return instant >= FOREVER ? 'for ever' : new Date(instant).toISOString();
}
