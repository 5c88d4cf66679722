/**
 * Which format an answer takes and a body has. A client without wishes, or which wants JSON, is
 * recognised by a comparison or two; only others are weighed.
 */
import { NodeError } from '../../../base/errors.ts';
import { prefers } from '../../http/accept.ts';
import type { Exchange } from '../../http/port.ts';
import { mediaType } from '../json-body.ts';
import { CBOR_FORMAT, MSGPACK_FORMAT } from './binary.ts';
import { CSV_FORMAT } from './csv.ts';
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
  const type = prefers(accept, SERVED_TYPES);
  return type === undefined ? undefined : OFFERS.get(type);
}

/** Names what is served. */
export const notAcceptable = (): NodeError =>
  new NodeError('NOT_ACCEPTABLE', `records are served as ${SERVED_TYPES.join(', ')}`, {
    blame: 'client',
    details: { served: SERVED_TYPES },
  });

/** The format of a request body: JSON unless it says otherwise; `undefined` for one unknown. */
export function bodyFormat(exchange: Exchange): Format | undefined {
  const type = mediaType(exchange.request.header('content-type'));
  return type === undefined ? JSON_FORMAT : OFFERS.get(type)?.format;
}

/** The field `Content-Type` for an offer; text says how it is encoded. */
export const contentTypeOf = ({ mediaType: type }: Offer): string =>
  type.startsWith('text/') ? `${type}; charset=utf-8` : type;
