/** What is remembered of fields from one answer or request to the next decides nothing wrongly. */
import { describe, expect, it } from 'vitest';
import { formatCacheStatus } from '../../../../src/protocols/http/cache-status.ts';
import { checkHeaders } from '../../../../src/protocols/http/header-safety.ts';
import { RequestCopy } from '../../../../src/protocols/http/request-copy.ts';

describe('checks of response fields', () => {
  it('refuses a value with a line end under a name whose values passed before', () => {
    expect(checkHeaders(['x-known', 'good'])).toBe(false);
    expect(checkHeaders(['x-known', 'good'])).toBe(false);
    expect(() => checkHeaders(['x-known', 'good\r\nx-other: 1'])).toThrow('x-known');
    expect(() => checkHeaders(['x-known', 'good\r\nx-other: 1'])).toThrow('x-known');
  });

  it('tells each time that a value holds bytes beyond ASCII', () => {
    const field = ['x-latin', 'caf\u00e9'];
    expect([checkHeaders(field), checkHeaders(field), checkHeaders(field)]).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe('fields of a request', () => {
  it('tells names apart that share a mark', () => {
    // Six letters and `p`, thirteen and `i`: one bit.
    const copy = new RequestCopy('GET', '/', '', ['pragma', 'no-cache', 'host', 'here']);
    expect(copy.header('if-none-match')).toBeUndefined();
    expect(copy.header('pragma')).toBe('no-cache');
    expect(copy.header('host')).toBe('here');
    expect(copy.header('')).toBeUndefined();
  });

  it('joins the lines of a field that is repeated', () => {
    const copy = new RequestCopy('GET', '/', '', [
      'accept',
      'a/b',
      'host',
      'here',
      'accept',
      'c/d',
    ]);
    expect(copy.header('accept')).toBe('a/b, c/d');
  });
});

describe('the text of a fresh hit', () => {
  it('tells lifetimes apart that share a slot', () => {
    const texts = [7, 7 + 4096, 7, 2 ** 32 + 7].map((ttl) => formatCacheStatus({ hit: true, ttl }));
    expect(texts).toEqual([
      'millrace; hit; ttl=7',
      'millrace; hit; ttl=4103',
      'millrace; hit; ttl=7',
      'millrace; hit; ttl=4294967303',
    ]);
  });
});
