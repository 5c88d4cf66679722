/**
 * Which format an answer takes and a body has. A client without wishes, or which wants JSON, is
 * recognised by a comparison or two; only others are weighed.
 */
import { NodeError } from '../../../base/errors.ts';
import { threadScope } from '../../../resource/thread-scope.ts';
import { prefers } from '../../http/accept.ts';
import type { Exchange } from '../../http/port.ts';
import { mediaType } from '../json-body.ts';
import { CBOR_FORMAT, MSGPACK_FORMAT } from './binary.ts';
import { CSV_FORMAT } from './csv.ts';
import { customFormat } from './custom.ts';
import type { Format } from './format.ts';
import { JSON_FORMAT } from './json.ts';
import { NDJSON_FORMAT } from './ndjson.ts';

/** A format under the name by which the client knows it. */
export interface Offer {
  readonly mediaType: string;
  readonly format: Format;
}

/** In the order of preference among equals. */
const FORMATS = [JSON_FORMAT, CBOR_FORMAT, MSGPACK_FORMAT, NDJSON_FORMAT, CSV_FORMAT];

const OFFERS: ReadonlyMap<string, Offer> = new Map(
  FORMATS.flatMap((format) =>
    format.mediaTypes.map((type) => [type, { mediaType: type, format }] as const),
  ),
);
export const SERVED_TYPES: readonly string[] = [...OFFERS.keys()];
export const JSON_OFFER: Offer = { mediaType: 'application/json', format: JSON_FORMAT };

/** What to answer with; `undefined` when no format will do. [RFC9110 §12.5.1] */
export function negotiate(exchange: Exchange): Offer | undefined {
  const accept = exchange.request.header('accept');
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return JSON_OFFER;
  const type = prefers(accept, servedTypes());
  return type === undefined ? undefined : offerOf(type);
}

/** What comes with Millrace, then what the application added and can write. */
export function servedTypes(): readonly string[] {
  const { contentTypes } = threadScope();
  if (contentTypes.size === 0) return SERVED_TYPES;
  const added = [...contentTypes].filter(([, { serialize }]) => serialize !== undefined);
  return [...SERVED_TYPES, ...added.map(([type]) => type)];
}

/** The format of a media type; `undefined` for one that is no format of records. */
export function offerOf(type: string): Offer | undefined {
  const known = OFFERS.get(type);
  if (known !== undefined) return known;
  const handler = threadScope().contentTypes.get(type);
  return handler && { mediaType: type, format: customFormat(type, handler) };
}

/** Names what is served. */
export function notAcceptable(): NodeError {
  const served = servedTypes();
  return new NodeError('NOT_ACCEPTABLE', `records are served as ${served.join(', ')}`, {
    blame: 'client',
    details: { served },
  });
}

/** The format of a request body: JSON unless it says otherwise; `undefined` for one unknown. */
export function bodyFormat(exchange: Exchange): Format | undefined {
  const type = mediaType(exchange.request.header('content-type'));
  if (type === undefined) return JSON_FORMAT;
  const isRead = OFFERS.has(type) || threadScope().contentTypes.get(type)?.deserialize;
  return isRead ? offerOf(type)?.format : undefined;
}

/** The field `Content-Type` for an offer; text says how it is encoded. */
export const contentTypeOf = ({ mediaType: type }: Offer): string =>
  type.startsWith('text/') ? `${type}; charset=utf-8` : type;
