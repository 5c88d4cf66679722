/**
 * Media types that an application teaches the node: `contentTypes.set('text/x-facts', { serialize,
 * deserialize })`. Tables and resources then answer with them and take them, by `Accept` and
 * `Content-Type` like the built-in ones, which they cannot replace.
 */
import { threadScope } from './thread-scope.ts';

export interface ContentTypeHandler {
  /** A value as this type has it: a record, a list of them, or whatever a resource answered. */
  readonly serialize?: ((value: unknown) => Uint8Array | string) | undefined;
  /** The value of a request body; what it throws is the client's mistake (400). */
  readonly deserialize?: ((body: Buffer) => unknown) | undefined;
}

const TYPE = /^[\w.+-]+\/[\w.+-]+$/;
const TYPES_MAX = 100;

export interface ContentTypes {
  /** Throws a `TypeError` for what is no media type or no handler. */
  set(mediaType: string, handler: ContentTypeHandler): void;
  has(mediaType: string): boolean;
  get(mediaType: string): ContentTypeHandler | undefined;
  delete(mediaType: string): boolean;
}

export const contentTypes: ContentTypes = {
  set(mediaType, handler) {
    const known = threadScope().contentTypes;
    const type = mediaType.toLowerCase();
    if (!TYPE.test(type)) throw new TypeError(`${mediaType} is no media type: write type/subtype`);
    if (typeof handler?.serialize !== 'function' && typeof handler?.deserialize !== 'function') {
      throw new TypeError(`contentTypes.set(${mediaType}, …) needs serialize or deserialize`);
    }
    if (known.size >= TYPES_MAX && !known.has(type)) {
      throw new TypeError(`at most ${TYPES_MAX} content types can be added`);
    }
    known.set(type, handler);
  },
  has: (mediaType) => threadScope().contentTypes.has(mediaType.toLowerCase()),
  get: (mediaType) => threadScope().contentTypes.get(mediaType.toLowerCase()),
  delete: (mediaType) => threadScope().contentTypes.delete(mediaType.toLowerCase()),
};
