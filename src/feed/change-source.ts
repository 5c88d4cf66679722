/**
 * The part of a thread's store reader on which the feed stands: the change log, the rows it points
 * at and the word that there is more. Nothing here writes.
 */
import type { StoreReader } from '../table/store-port.ts';

export type ChangeSource = Pick<
  StoreReader,
  | 'epoch'
  | 'lastSequence'
  | 'firstSequence'
  | 'changesAfter'
  | 'onCommit'
  | 'withEntry'
  | 'scan'
  | 'idsByIndex'
  | 'countByIndex'
  | 'isIndexComplete'
  | 'invalidations'
>;

/** Runs `fn` in a later turn of the event loop, so that sockets are served in between. */
export type Soon = (fn: () => void) => void;
