/**
 * Branded types for values whose mix-up would hurt. A brand costs nothing at run time; values are
 * branded where they enter (parse functions at the edge) and are plain numbers and strings in
 * memory.
 */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** An instant in milliseconds since 1970, as `Date.now()` gives it. */
export type EpochMs = Brand<number, 'EpochMs'>;
/** A span in milliseconds. */
export type DurationMs = Brand<number, 'DurationMs'>;
/** A span in whole seconds, as HTTP counts (`delta-seconds`, RFC 9111 §1.2.2). */
export type DeltaSeconds = Brand<number, 'DeltaSeconds'>;
/**
 * An entity tag as it stands on the wire, quotes and weakness prefix included (RFC 9110 §8.8.3).
 */
export type EntityTag = Brand<string, 'EntityTag'>;
/**
 * The name of an exported or unexported table: `database.table`, or `table` in the default
 * database.
 */
export type TableName = Brand<string, 'TableName'>;
/** A record's primary key as a string or number, as the client wrote it in the URL. */
export type RecordId = string | number;
/** Position in the node's change log and invalidation order: one monotone integer a node. */
export type Sequence = Brand<number, 'Sequence'>;
/** Hybrid logical clock reading: `milliseconds * 2048 + counter`, a safe integer until 2109. */
export type RecordVersion = Brand<number, 'RecordVersion'>;
/** Identity of a node as the author of changes: a random 48-bit integer, never 0. */
export type NodeId = Brand<number, 'NodeId'>;
/** Identity of an unbroken run of sequences (new after a loss that cannot be excluded). */
export type Epoch = Brand<string, 'Epoch'>;
/** `"<epoch>.<offset>"`: a place in the change log, as clients hold it. */
export type Position = Brand<string, 'Position'>;

export const epochMs = (value: number): EpochMs => value as EpochMs;
export const durationMs = (value: number): DurationMs => value as DurationMs;
export const deltaSeconds = (value: number): DeltaSeconds => value as DeltaSeconds;
export const entityTag = (value: string): EntityTag => value as EntityTag;
export const tableName = (value: string): TableName => value as TableName;
export const sequence = (value: number): Sequence => value as Sequence;
export const recordVersion = (value: number): RecordVersion => value as RecordVersion;
export const nodeId = (value: number): NodeId => value as NodeId;
export const epoch = (value: string): Epoch => value as Epoch;

/** The instant `after` milliseconds later. */
export const later = (at: EpochMs, after: DurationMs): EpochMs => (at + after) as EpochMs;
/** Milliseconds in so many whole seconds. */
export const secondsToMs = (seconds: DeltaSeconds): DurationMs => (seconds * 1000) as DurationMs;
