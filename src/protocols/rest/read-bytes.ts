/**
 * `GET` and `HEAD` of bytes: what is stored as another type than JSON, and whatever lies in a file.
 * They go out as they came, whole or in ranges, no faster than the client takes them.
 */
import { NodeError } from '../../base/errors.ts';
import type { Entry, StoredBlob } from '../../cache/entry.ts';
import { isJsonType } from '../../cache/record-json.ts';
import {
  type BodyReader,
  type BodyStore,
  isCopy,
  type StoredBody,
} from '../../table/body-store.ts';
import { type ByteSource, memorySource } from '../http/byte-source.ts';
import type { Exchange, HeaderList } from '../http/port.ts';
import {
  judgeRequest,
  type Representation,
  type RepresentationStatus,
  sendRepresentation,
} from '../http/representation.ts';

export interface SentBytes {
  readonly status: RepresentationStatus;
  readonly bytes: number;
  /** Resolves when the answer was sent; rejects when nothing of it was. */
  readonly sent: Promise<void>;
}

/** What is streamed; small bytes that are wanted whole are answered at once instead. */
export const isStreamed = (exchange: Exchange, entry: Entry): boolean =>
  entry.storedBody !== undefined ||
  (!isJsonType(entry.contentType) && exchange.request.header('range') !== undefined);

/** What is sent: bytes of an entry, or of one of its attributes. */
export type SentEntry = Pick<
  Entry,
  'entityTag' | 'lastModified' | 'contentType' | 'storedBody' | 'bodyLength' | 'body'
>;

/** The bytes of an attribute as if they were an entry. */
export const blobEntry = (
  entry: Entry,
  { body, contentType, entityTag }: StoredBlob,
): SentEntry => ({
  ...{ entityTag, contentType, lastModified: entry.lastModified, body: NO_BYTES },
  ...{ storedBody: body, bodyLength: body.length },
});

const NO_BYTES = new Uint8Array(0);

/** Takes from the entry what it needs before it returns. `headers`: all but the type. */
export function sendEntryBytes(
  exchange: Exchange,
  bodies: BodyStore,
  entry: SentEntry,
  headers: HeaderList,
): SentBytes {
  const { entityTag: tag, lastModified, contentType, storedBody, bodyLength } = entry;
  const facts = { tag, lastModified, contentType, headers };
  const verdict = judgeRequest(exchange, facts, bodyLength);
  const bytes = verdict.ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const counted = verdict.status === 200 ? bodyLength : bytes;
  const send = (source: ByteSource) => sendRepresentation(exchange, { ...facts, source }, verdict);
  const sent =
    storedBody === undefined
      ? send(memorySource(Uint8Array.prototype.slice.call(entry.body)))
      : sendFile(bodies, storedBody, verdict.status, send);
  return { status: verdict.status, bytes: counted, sent };
}

type Send = (source: Representation['source']) => Promise<void>;

async function sendFile(
  bodies: BodyStore,
  body: StoredBody,
  status: RepresentationStatus,
  send: Send,
): Promise<void> {
  const reader = bodies.open(body);
  if (reader === undefined) throw isCopy(body) ? onItsWay(body) : lost(body);
  try {
    // Who reads a part cannot see that the whole is damaged.
    if (status === 206) await reader.verify();
    await send(sourceOf(reader, body.length));
  } finally {
    reader.close();
  }
}

const sourceOf = (reader: BodyReader, length: number): ByteSource => ({
  length,
  read: (offset, max) => reader.read(offset, max),
});

const onItsWay = ({ length }: StoredBody): NodeError =>
  new NodeError(
    'BODY_ON_ITS_WAY',
    `the ${length} bytes of this body are still being fetched from the node that has them; ` +
      'ask again in a moment, or another node',
    { retry: 'later' },
  );

const lost = ({ name }: StoredBody): NodeError =>
  new NodeError(
    'STORE_FAILED',
    `the stored body ${name} is gone or damaged: write the record again, or purge it if it has ` +
      'an origin',
    { details: { body: name } },
  );
