/**
 * Copies a request out of the engine's memory, which is reused as soon as its callback returns. In
 * one pass over the fields: cheaper than asking for each by name, and it sees what is repeated.
 */
import { RequestCopy } from '../request-copy.ts';
import type { UwsRequest } from './types.ts';

/** Filled by one request after the other, and copied in the length that it has then. */
const sink: string[] = [];
let filled = 0;
// One function for all requests: a closure each would cost more than the fields of a small request.
const collect = (name: string, value: string): void => {
  sink[filled] = name;
  sink[filled + 1] = value;
  filled += 2;
};

/** Must be called before the engine's callback returns. */
export function copyRequest(req: UwsRequest, method: string): RequestCopy {
  filled = 0;
  req.forEach(collect);
  const fields = sink.slice(0, filled);
  const request = new RequestCopy(method, req.getUrl(), req.getQuery() ?? '', fields);
  request.isDecoded = true;
  return request;
}
