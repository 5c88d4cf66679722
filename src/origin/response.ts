/**
 * A complete reply of an origin over HTTP: status, header fields, body bytes. Recognised by a mark
 * rather than a class, so that a second copy of this module is no problem.
 */
const RESPONSE = Symbol.for('millrace.response');

export interface OriginResponse {
  readonly [RESPONSE]: true;
  readonly status: number;
  /** Names in lower case; repeated fields joined by `, ` [RFC9110 §5.3]. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export const originResponse = (
  status: number,
  headers: ReadonlyMap<string, string>,
  body: Uint8Array,
): OriginResponse => ({ [RESPONSE]: true, status, headers, body });

export const isOriginResponse = (value: unknown): value is OriginResponse =>
  typeof value === 'object' && value !== null && RESPONSE in value;
