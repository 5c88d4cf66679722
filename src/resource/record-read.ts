/**
 * Reads one record for application code: under the caching wishes of its context, with the facts
 * that code may ask for afterwards (when it was changed, until when it is fresh, whether its
 * origin was asked).
 */
import { deltaSeconds, type RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { hasBlobs } from '../cache/blobs.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives } from '../cache/directives.ts';
import { type Entry, FOREVER } from '../cache/entry.ts';
import type { ReadResult } from '../cache/read-request.ts';
import { recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Table } from '../table/table.ts';
import { HeldBlob } from './blob.ts';
import type { CachingWishes } from './context.ts';

export interface ReadRecord {
  readonly record: JsonRecord;
  /** Milliseconds since 1970. */
  readonly updatedTime: number;
  /** Milliseconds since 1970; `undefined` for a record which stays fresh. */
  readonly expiresAt: number | undefined;
}

export interface RecordRead {
  /** `undefined` when there is no such record. */
  readonly found: ReadRecord | undefined;
  /** The origin was asked for this read, or for one that it waited for. */
  readonly fromOrigin: boolean;
  /** This read itself asked it. */
  readonly askedOrigin: boolean;
}

/** Told of the entry while it is valid, so that the answer inherits what it says. */
export type SeenEntry = (entry: Entry | undefined) => void;

/** What is held, however old: the origin is never asked. */
export const HELD_ONLY: RequestDirectives = Object.freeze({
  ...NO_REQUEST_DIRECTIVES,
  onlyIfCached: true,
  maxStale: deltaSeconds(Number.MAX_SAFE_INTEGER),
});

/** Any age of a stored record, when `staleIfError` is set. */
const ANY_AGE = deltaSeconds(2 ** 31);

/** The wishes of a context in the words of a request. */
export function directivesOf(wishes: CachingWishes | undefined): RequestDirectives {
  if (wishes === undefined) return NO_REQUEST_DIRECTIVES;
  const { noCache, noCacheStore, onlyIfCached, mustRevalidate, staleIfError } = wishes;
  const any = noCache || noCacheStore || onlyIfCached || mustRevalidate || staleIfError;
  if (any === undefined || any === false) return NO_REQUEST_DIRECTIVES;
  return {
    noCache: noCache === true,
    noStore: noCacheStore === true,
    onlyIfCached: onlyIfCached === true,
    mustRevalidate: mustRevalidate === true,
    staleIfError: staleIfError === true ? ANY_AGE : undefined,
  };
}

export interface ReadOptions {
  readonly seen?: SeenEntry | undefined;
  /** No other node is to be asked. */
  readonly isOwnOnly?: boolean | undefined;
}

/** Rejects with what kept the origin from answering, or with `NOT_CACHED`. */
export async function readForCode(
  table: Table,
  id: RecordId,
  directives: RequestDirectives,
  { seen, isOwnOnly }: ReadOptions = {},
): Promise<RecordRead> {
  let read: RecordRead = { found: undefined, fromOrigin: false, askedOrigin: false };
  await table.read({ id, variant: '', directives, mayForce: true, isOwnOnly }, (result) => {
    if (result.kind === 'found') seen?.(result.entry);
    else if (result.kind === 'absent') seen?.(undefined);
    read = readOf(result, table.definition);
  });
  return read;
}

const decoder = new TextDecoder();

function recordOf(entry: Entry, definition: TableDefinition): ReadRecord {
  const { freshUntil, lastModified } = entry;
  const text = decoder.decode(recordJson(entry, definition.primaryKey));
  const record = JSON.parse(text) as JsonRecord;
  if (hasBlobs(definition)) holdBlobs(record, entry);
  return {
    record,
    updatedTime: lastModified,
    expiresAt: freshUntil === FOREVER ? undefined : freshUntil,
  };
}

/** References to bytes that are held can be read by code. */
function holdBlobs(record: JsonRecord, { meta: { blobs = {} } }: Entry): void {
  for (const [name, blob] of Object.entries(blobs)) {
    const reference = record[name];
    if (typeof reference === 'object' && reference !== null) {
      record[name] = new HeldBlob(reference, blob);
    }
  }
}

function readOf(result: ReadResult, definition: TableDefinition): RecordRead {
  switch (result.kind) {
    case 'found': {
      const { entry, cacheStatus } = result;
      const fromOrigin = cacheStatus.fwd !== undefined;
      const askedOrigin = fromOrigin && cacheStatus.collapsed !== true;
      return { found: recordOf(entry, definition), fromOrigin, askedOrigin };
    }
    case 'absent': {
      const fromOrigin = result.cacheStatus.fwd !== undefined;
      return { found: undefined, fromOrigin, askedOrigin: fromOrigin };
    }
    case 'failed':
      throw result.error;
    case 'refused':
      throw new NodeError('NOT_CACHED', `${definition.typeName}: the record is not held here`);
  }
}
