/**
 * The event contract: one JSON object `{ type, table, id, value, position, at }`, made once per
 * change and shared by every subscriber of every protocol. Row bodies are JSON already and are
 * spliced in, never parsed. A protocol asks for the form it sends (`bytes`, `sse`);
 * each form is made on first use and kept with the event.
 */
import type { EpochMs, Position, RecordId } from '../base/brands.ts';

export type EventType =
  | 'put'
  | 'patch'
  | 'delete'
  | 'invalidate'
  | 'message'
  | 'enter'
  | 'leave'
  | 'snapshot'
  | 'reset';

/** Encodings which a protocol makes of an event's JSON. */
export type EventForm = 'msgpack' | 'cbor';

export class EncodedEvent {
  readonly type: EventType;
  readonly position: Position;
  readonly json: string;
  /**
   * Whether a client that has this event, and nothing after it, may resume from its position: not
   * from `reset`, nor from a snapshot of which more was to come.
   */
  readonly resumable: boolean;
  #bytes: Buffer | undefined;
  #prefix = '';
  #prefixed: Buffer | undefined;
  #sse: Buffer | undefined;
  #forms: Map<EventForm, Uint8Array> | undefined;

  constructor(type: EventType, position: Position, json: string, resumable = true) {
    this.type = type;
    this.position = position;
    this.json = json;
    this.resumable = resumable;
  }

  /** The object as UTF-8, with `prefix` (such as `{"sub":1,`), if any, for its opening brace. */
  bytes(prefix = ''): Uint8Array {
    if (prefix === '') {
      this.#bytes ??= Buffer.from(this.json);
      return this.#bytes;
    }
    if (this.#prefixed === undefined || prefix !== this.#prefix) {
      this.#prefix = prefix;
      this.#prefixed = Buffer.from(prefix + this.json.slice(1));
    }
    return this.#prefixed;
  }

  /** Another encoding of the object, by what is shared. */
  form(name: EventForm, encode: (json: string) => Uint8Array): Uint8Array {
    this.#forms ??= new Map();
    let bytes = this.#forms.get(name);
    if (bytes === undefined) {
      bytes = encode(this.json);
      this.#forms.set(name, bytes);
    }
    return bytes;
  }

  /**
   * The event as a block of an event stream; `id` only where a browser may resume from it. A reset
   * takes back the id before it: who loses the connection before the present state is complete must
   * not go on from there, since it has forgotten what it knew [WHATWG HTML §9.2.6].
   */
  get sse(): Buffer {
    if (this.#sse === undefined) {
      const taken = this.type === 'reset' ? 'id\n' : '';
      const id = this.resumable ? `id: ${this.position}\n` : taken;
      this.#sse = Buffer.from(`${id}event: ${this.type}\ndata: ${oneLine(this.json)}\n\n`);
    }
    return this.#sse;
  }
}

/** Line ends in JSON are white space between tokens (strings escape theirs), so they may go. */
const oneLine = (json: string): string =>
  /[\r\n]/.test(json) ? json.replace(/[\r\n]+/g, ' ') : json;

export interface EventParts {
  readonly type: EventType;
  /** Name of the table's type. */
  readonly table: string;
  /** `undefined`: the event concerns the whole table. */
  readonly id: RecordId | undefined;
  /** JSON text; `undefined` for events without a value. */
  readonly value?: string | undefined;
  readonly position: Position;
  readonly at: EpochMs;
  /** The state at the beginning of a subscription, not a change. */
  readonly retained?: boolean | undefined;
  /** What was told before this subscription began. */
  readonly history?: boolean | undefined;
  /** Where the row stands among those shown, once the event was applied. */
  readonly index?: number | undefined;
}

export function encodeEvent(parts: EventParts): EncodedEvent {
  const value = parts.value === undefined ? '' : `,"value":${parts.value}`;
  const retained = parts.retained === true ? ',"retained":true' : '';
  const index = parts.index === undefined ? '' : `,"index":${parts.index}`;
  const history = parts.history === true ? ',"history":true' : '';
  const json = `{"type":"${parts.type}","table":${JSON.stringify(parts.table)},"id":${idJson(
    parts.id,
  )}${value},"position":"${parts.position}","at":${parts.at}${retained}${index}${history}}`;
  // Who goes on from the past would miss what did not change since.
  return new EncodedEvent(parts.type, parts.position, json, parts.history !== true);
}

export interface SnapshotParts {
  readonly table: string;
  readonly ids: readonly string[];
  readonly values: readonly string[];
  readonly position: Position;
  readonly at: EpochMs;
  /** Another chunk of the same snapshot follows. */
  readonly more: boolean;
}

/** A chunk of a collection's rows; `ids` are JSON texts, one for each value. */
export function encodeSnapshot(parts: SnapshotParts): EncodedEvent {
  const json = `{"type":"snapshot","table":${JSON.stringify(parts.table)},"ids":[${parts.ids.join(
    ',',
  )}],"values":[${parts.values.join(',')}],"position":"${parts.position}","at":${parts.at}${
    parts.more ? ',"more":true' : ''
  }}`;
  return new EncodedEvent('snapshot', parts.position, json, !parts.more);
}

/** Says that changes may be missing; the present state follows. */
export function encodeReset(
  parts: Pick<EventParts, 'table' | 'id' | 'position' | 'at'>,
): EncodedEvent {
  const table = JSON.stringify(parts.table);
  const json = `{"type":"reset","table":${table},"id":${idJson(parts.id)},"position":"${
    parts.position
  }","at":${parts.at},"recovered":false}`;
  return new EncodedEvent('reset', parts.position, json, false);
}

/** A record's id as JSON; `null` for the whole table. */
export const idJson = (id: RecordId | undefined): string =>
  id === undefined ? 'null' : JSON.stringify(id);

/** The text of a stored body; `undefined` when it is empty. Copies, so a view may be given. */
export function textOf(body: Uint8Array): string | undefined {
  if (body.byteLength === 0) return undefined;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** A message's body as JSON: itself when it is JSON, otherwise its text as a string. */
export function messageJson(body: Uint8Array): string {
  const text = textOf(body);
  if (text === undefined) return 'null';
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
