/** Cache-Control as it is really sent: quotes, duplicates, odd case, nonsense. */
import { describe, expect, it } from 'vitest';
import {
  NO_REQUEST_DIRECTIVES,
  NO_RESPONSE_DIRECTIVES,
  parseRequestDirectives,
  parseResponseDirectives,
} from '../../../src/cache/directives.ts';

describe('response directives', () => {
  it('are the shared constant when there are none', () => {
    expect(parseResponseDirectives(undefined)).toBe(NO_RESPONSE_DIRECTIVES);
    expect(parseResponseDirectives('')).toBe(NO_RESPONSE_DIRECTIVES);
  });

  it.each([
    ['max-age=60', { maxAge: 60 }],
    ['MAX-AGE=60, Private', { maxAge: 60, private: true }],
    ['max-age="60"', { maxAge: 60 }],
    [' ,, max-age = 60 ,', { maxAge: 60 }],
    ['max-age=60, max-age=10', { maxAge: 10 }],
    ['max-age=10, s-maxage=20', { maxAge: 10, sMaxage: 20 }],
    ['private="set-cookie, x"', { private: true, privateFields: ['set-cookie', 'x'] }],
    [
      'no-cache="a, max-age=5", max-age=7',
      { noCache: true, noCacheFields: ['a', 'max-age=5'], maxAge: 7 },
    ],
    ['must-understand, no-store', { mustUnderstand: true, noStore: true }],
    ['ext="no-store, \\"private", max-age=1', { maxAge: 1 }],
    ['no-storefront, xprivate', {}],
    ['max-age=5; private', { maxAge: 5, private: true }],
    ['max-age=5 no-store', { maxAge: 5, noStore: true }],
    ['ext="a\\", private', { private: true }],
    ['private=""', { private: true }],
    ['no-cache=" ,"', { noCache: true }],
    ['stale-while-revalidate=5, stale-if-error=6', { staleWhileRevalidate: 5, staleIfError: 6 }],
    [
      'must-revalidate, proxy-revalidate, immutable, public',
      {
        mustRevalidate: true,
        proxyRevalidate: true,
        immutable: true,
        public: true,
      },
    ],
  ])('%s [RFC9111 §5.2]', (field, expected) => {
    expect(parseResponseDirectives(field)).toEqual({ ...NO_RESPONSE_DIRECTIVES, ...expected });
  });

  it.each(['max-age', 'max-age=', 'max-age=-1', 'max-age=1.5', 'max-age=a', 'max-age=1a'])(
    'with a number that cannot be read mean stale: %s [RFC9111 §4.2.1]',
    (field) => {
      expect(parseResponseDirectives(field).maxAge).toBe(0);
    },
  );

  it('keep a number which overflows at 2^31 [RFC9111 §1.2.2]', () => {
    expect(parseResponseDirectives(`max-age=${'9'.repeat(400)}`).maxAge).toBe(2 ** 31);
  });

  it('which are too many count as no-store, since one of the rest may say so', () => {
    const field = `${'x, '.repeat(100)}no-store`;
    expect(parseResponseDirectives(field).noStore).toBe(true);
  });

  it('read hostile fields in linear time', () => {
    const field = `a="${'\\'.repeat(50_000)}`;
    expect(parseResponseDirectives(field).noCache).toBe(false);
  });
});

describe('request directives', () => {
  it('are the shared constant when there are none', () => {
    expect(parseRequestDirectives()).toBe(NO_REQUEST_DIRECTIVES);
    expect(parseRequestDirectives(undefined, 'x')).toBe(NO_REQUEST_DIRECTIVES);
  });

  it('take Pragma for no-cache only without Cache-Control [RFC9111 §5.4]', () => {
    expect(parseRequestDirectives(undefined, 'no-cache').noCache).toBe(true);
    expect(parseRequestDirectives('max-age=5', 'no-cache').noCache).toBe(false);
  });

  it.each([
    ['max-stale', { maxStale: Number.POSITIVE_INFINITY }],
    ['max-stale=10', { maxStale: 10 }],
    ['max-stale=x', { maxStale: 0 }],
    ['min-fresh=x', { minFresh: 2 ** 31 }],
    ['max-age=x', { maxAge: 0 }],
    ['only-if-cached, no-cache, no-store', { onlyIfCached: true, noCache: true, noStore: true }],
    ['stale-if-error=9, must-revalidate', { staleIfError: 9, mustRevalidate: true }],
  ])('%s [RFC9111 §5.2.1]', (field, expected) => {
    expect(parseRequestDirectives(field)).toEqual({ ...NO_REQUEST_DIRECTIVES, ...expected });
  });
});
