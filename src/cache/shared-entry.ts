/**
 * An entry of a cache as one node hands it to another (`replicate: entries`, replication/SPEC.md
 * §14): what the origin said, with its times as spans, since clocks differ. What another node could
 * not use, or might take for something that it is not, is not handed on.
 */
import {
  type DurationMs,
  durationMs,
  type EntityTag,
  type EpochMs,
  epochMs,
} from '../base/brands.ts';
import { type Entry, FOREVER } from './entry.ts';
import { isFresh, plus } from './freshness.ts';
import type { InvalidationVerdict } from './ports.ts';

export interface SharedEntry {
  readonly status: number;
  readonly contentType: string;
  readonly tag: EntityTag;
  readonly body: Uint8Array;
  readonly originTag?: EntityTag | undefined;
  readonly lastModified?: EpochMs | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Since the reply came, and what it had aged by then. */
  readonly sinceMs: DurationMs;
  readonly initialAgeMs: DurationMs;
  readonly freshMs: DurationMs;
  /** From the end of freshness. */
  readonly whileRevalidateMs: DurationMs;
  readonly ifErrorMs: DurationMs;
  readonly evictMs: DurationMs;
  readonly staleForbidden: boolean;
}

/** A record that is larger is fetched by who needs it. */
const SHARED_BODY_BYTES = 2 * 1024 * 1024;

export interface SharingTerms {
  readonly now: EpochMs;
  readonly verdict: InvalidationVerdict;
  /** Whether a group names a record: then what it was made from may differ elsewhere. */
  readonly namesRecord: (group: string) => boolean;
}

/** `undefined` for what stays here. */
export function sharedEntry(entry: Entry, terms: SharingTerms): SharedEntry | undefined {
  const { now, verdict, namesRecord } = terms;
  const { kind, mustValidate, storedBody, bodyLength } = entry;
  if (kind !== 'record' || mustValidate || verdict.kind !== 'valid') return undefined;
  if (entry.isLocal === true) return undefined;
  if (storedBody !== undefined || bodyLength > SHARED_BODY_BYTES || !isFresh(entry, now, verdict))
    return;
  const { meta, status, contentType, entityTag, freshUntil, staleForbidden } = entry;
  const { groups, originTag, lastModified, blobs, publication } = meta;
  if (blobs !== undefined || publication !== undefined || groups?.some(namesRecord)) return;
  return {
    ...{ status, contentType, tag: entityTag, body: entry.retain().body },
    ...{ originTag, lastModified, groups, staleForbidden },
    sinceMs: durationMs(Math.max(0, now - entry.storedAt)),
    initialAgeMs: entry.initialAge,
    freshMs: spanUntil(freshUntil, now),
    whileRevalidateMs: spanUntil(entry.staleWhileRevalidateUntil, freshUntil),
    ifErrorMs: spanUntil(entry.staleIfErrorUntil, freshUntil),
    evictMs: spanUntil(entry.evictAt, now),
  };
}

export interface ReceivedTimes {
  readonly storedAt: EpochMs;
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
}

/** Its instants by this node's clock, `elapsed` after it was sent. */
export function receivedTimes(
  { sinceMs, freshMs, whileRevalidateMs, ifErrorMs, evictMs }: SharedEntry,
  now: EpochMs,
  elapsed: number,
): ReceivedTimes {
  const sentAt = epochMs(Math.max(0, now - elapsed));
  const freshUntil = plus(sentAt, freshMs);
  return {
    storedAt: epochMs(Math.max(0, sentAt - sinceMs)),
    freshUntil,
    staleWhileRevalidateUntil: plus(freshUntil, whileRevalidateMs),
    staleIfErrorUntil: plus(freshUntil, ifErrorMs),
    evictAt: plus(sentAt, evictMs),
  };
}

/** Spans without an end stay so. */
const spanUntil = (until: EpochMs, from: EpochMs): DurationMs =>
  durationMs(until === FOREVER ? FOREVER : Math.max(0, until - from));

/** What an entry that stands here says to one that came. */
export interface Standing {
  readonly storedAt: EpochMs;
  readonly isInvalidated: boolean;
}

/** Whether what came may take the place of what stands there: at doubt that stays. */
export const mayReplace = (
  { storedAt, isInvalidated }: Standing,
  came: EpochMs,
  doubtMs: number,
): boolean => isInvalidated || came >= storedAt + doubtMs;
