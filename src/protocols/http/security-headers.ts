/**
 * Fields that keep a browser from reading more into an answer than it says. Few, since each is
 * written with every answer that carries foreign bytes.
 */
import type { HeaderList } from './port.ts';

/** For answers with client- or origin-made bodies: no guessing of types. */
export const noSniff: HeaderList = ['x-content-type-options', 'nosniff'];

/** For HTML served by the node itself: not to be framed by other sites, no full referrer. */
export const pageSecurity: HeaderList = [
  ...noSniff,
  'referrer-policy',
  'strict-origin-when-cross-origin',
  'x-frame-options',
  'SAMEORIGIN',
];
