/**
 * Copies a request out of the engine's memory, which is reused as soon as its callback returns. In
 * one pass over the fields: cheaper than asking for each by name, and it sees what is repeated.
 */
import { RequestCopy } from '../request-copy.ts';
import type { UwsRequest } from './types.ts';

let sink: string[] = [];
// One function for all requests: a closure each would cost more than the fields of a small request.
const collect = (name: string, value: string): void => {
  sink.push(name, value);
};

/** Must be called before the engine's callback returns. */
export function copyRequest(req: UwsRequest, method: string): RequestCopy {
  const fields: string[] = [];
  sink = fields;
  req.forEach(collect);
  const request = new RequestCopy(method, req.getUrl(), req.getQuery() ?? '', fields);
  request.isDecoded = true;
  return request;
}
