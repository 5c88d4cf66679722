/**
 * Answers with bytes that have a validator: 304, the whole, one range, several, or 416. The whole
 * is streamed as well, so that its size does not matter. [RFC9110 §13, §14]
 */
import type { EntityTag, EpochMs } from '../../base/brands.ts';
import { type ByteSource, type Segment, sendSegments } from './byte-source.ts';
import { notModified } from './conditional.ts';
import type { Exchange, HeaderList } from './port.ts';
import {
  type ByteRange,
  contentRange,
  parseRange,
  type RangeVerdict,
  rangeStillHolds,
} from './range.ts';

export interface Representation {
  readonly source: ByteSource;
  /** All fields but those of the type and the range. */
  readonly headers: HeaderList;
  readonly tag: EntityTag;
  readonly lastModified: EpochMs;
  readonly contentType: string;
}

export type RepresentationStatus = 200 | 206 | 304 | 416;

/** What a request gets of a representation, before any of it is read. */
export interface RepresentationVerdict {
  readonly status: RepresentationStatus;
  /** None unless the status is 206. */
  readonly ranges: readonly ByteRange[];
}

export function judgeRequest(
  { request }: Exchange,
  page: Pick<Representation, 'tag' | 'lastModified'>,
  length: number,
): RepresentationVerdict {
  const conditions = {
    ifNoneMatch: request.header('if-none-match'),
    ifModifiedSince: request.header('if-modified-since'),
  };
  if (notModified(conditions, page.tag, page.lastModified)) return { status: 304, ranges: [] };
  const holds = rangeStillHolds(request.header('if-range'), page.tag, page.lastModified);
  const range = request.method === 'GET' && holds ? request.header('range') : undefined;
  const verdict = parseRange(range, length);
  return { status: STATUSES[verdict.kind], ranges: verdict.kind === 'parts' ? verdict.ranges : [] };
}

const STATUSES: Readonly<Record<RangeVerdict['kind'], RepresentationStatus>> = {
  whole: 200,
  parts: 206,
  unsatisfiable: 416,
};

/** Sends what the verdict says. */
export async function sendRepresentation(
  exchange: Exchange,
  page: Representation,
  verdict: RepresentationVerdict = judgeRequest(exchange, page, page.source.length),
): Promise<void> {
  const { headers, source, contentType } = page;
  const { length } = source;
  switch (verdict.status) {
    case 304:
      exchange.reply(304, headers);
      return;
    case 416:
      exchange.reply(416, [...headers, 'content-range', `bytes */${length}`]);
      return;
    case 206:
      await sendParts(exchange, page, verdict.ranges);
      return;
    case 200: {
      const all = [{ first: 0, bytes: length }];
      await sendSegments(exchange, 200, [...headers, 'content-type', contentType], source, all);
    }
  }
}

async function sendParts(
  exchange: Exchange,
  { source, headers, tag, contentType }: Representation,
  ranges: readonly ByteRange[],
): Promise<void> {
  const { length } = source;
  const [only] = ranges;
  const segment = ({ first, last }: ByteRange) => ({ first, bytes: last - first + 1 });
  if (ranges.length === 1 && only !== undefined) {
    const fields = ['content-type', contentType, 'content-range', contentRange(only, length)];
    await sendSegments(exchange, 206, [...headers, ...fields], source, [segment(only)]);
    return;
  }
  const parts = multipart(ranges, { tag, contentType }, length);
  const fields = ['content-type', parts.contentType];
  await sendSegments(exchange, 206, [...headers, ...fields], source, parts.segments);
}

/** Several ranges in one body [RFC9110 §14.6]. */
export function multipart(
  ranges: readonly ByteRange[],
  { tag, contentType }: { readonly tag: string; readonly contentType: string | undefined },
  length: number,
): { readonly contentType: string; readonly segments: readonly Segment[] } {
  // Nobody but us knows the boundary before the body is made, so it need not be random.
  const boundary = `millrace-${tag.replace(/[^a-z0-9]/gi, '').slice(0, 60)}`;
  const type = contentType === undefined ? '' : `content-type: ${contentType}\r\n`;
  const segments: Segment[] = [];
  for (const range of ranges) {
    const { first, last } = range;
    const head = `${type}content-range: ${contentRange(range, length)}`;
    const bytes = last - first + 1;
    segments.push(`\r\n--${boundary}\r\n${head}\r\n\r\n`, { first, bytes });
  }
  segments.push(`\r\n--${boundary}--\r\n`);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, segments };
}
