/** The pure rules of the page cache, case by case. */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../../src/base/brands.ts';
import { keysOfUrl, listedCookies, pageTarget } from '../../../../src/cache/pages/cache-key.ts';
import { endToEnd, fieldOf, filterFields } from '../../../../src/cache/pages/fields.ts';
import { passedFields } from '../../../../src/cache/pages/forward.ts';
import { pageFacts, targetedDirectives } from '../../../../src/cache/pages/page-facts.ts';
import { parseContentRange, rangeOf, sliceOfPart } from '../../../../src/cache/pages/partial.ts';
import { storedFields, updatedFields } from '../../../../src/cache/pages/stored-fields.ts';
import { changedSomething, changedTargets } from '../../../../src/cache/pages/unsafe.ts';
import { preferredLanguages, sentLanguages, variantKey } from '../../../../src/cache/pages/vary.ts';

const at = epochMs(1_800_000_000_000);
const factsOf = (fields: string[], status = 200) =>
  pageFacts({ status, fields, requestedAt: at, receivedAt: at }, []);

describe('targeted cache control [RFC9213]', () => {
  it.each([
    ['max-age=60', 60],
    ['max-age=60;p=1, ext="x"', 60],
    ['max-age=99999999999', 2 ** 31],
  ])('takes %s', (field, maxAge) => {
    expect(targetedDirectives(field)?.maxAge).toBe(maxAge);
  });
  it.each(['', 'max-age =60', 'max-age= 60', 'MAX-AGE=60', 'max-age="60"', 'max-age=6, &&', 'a,'])(
    'ignores %j as a whole [§2.1]',
    (field) => {
      expect(targetedDirectives(field)).toBeUndefined();
    },
  );
  it('takes the place of Cache-Control and Expires [§2.2]', () => {
    const facts = factsOf([
      ...['cache-control', 'no-store', 'expires', '0'],
      ...['cdn-cache-control', 'max-age=5'],
    ]);
    expect(facts.directives).toMatchObject({ noStore: false, maxAge: 5 });
    expect(facts.expires).toBeUndefined();
  });
});

describe('variants [RFC9111 §4.1]', () => {
  const key = (name: string, value: string | undefined) => variantKey([name], () => value);
  it.each([
    ['accept-language', 'en, de', 'DE ,en'],
    ['accept-language', 'en;q=1, de;q=0.5', 'en, de;q=0.5'],
    ['accept-encoding', 'gzip, br', 'br;q=0.5, gzip, zstd;q=0'],
    ['accept-encoding', 'gzip', 'gzip, made-up, *;q=0'],
    ['accept-language', 'en', 'en;x=y, <made up>, de-'],
    ['foo', '1,2', ' 1 , 2 '],
    ['foo', 'a\tb', 'a b'],
  ])('%s: %s and %s select the same', (name, left, right) => {
    expect(key(name, left)).toBe(key(name, right));
  });
  it.each([
    ['accept-language', 'en, de', 'en, de;q=0.5'],
    ['accept-language', 'en, de;q=0', 'en, de;q=0.5'],
    ['foo', '"a, b"', '"a,b"'],
    ['foo', '', undefined],
  ])('%s: %s and %s do not', (name, left, right) => {
    expect(key(name, left)).not.toBe(key(name, right));
  });
  it.each([
    ['DE-at, en;q=0.5, zh-hant-TW;q=0.5', 'de-AT, en;q=0.5, zh-Hant-TW;q=0.5'],
    ['en, de;q=0, *;q=0.1', 'en, *;q=0.667, de;q=0'],
    ['en;evil=<b>', 'en'],
    ['<b>', undefined],
  ])('asks an origin for %s as %s', (field, sent) => {
    expect(sentLanguages(field)).toBe(sent);
  });
  it('knows the languages that are wanted most', () => {
    expect(preferredLanguages('fr;q=0.5, de')).toEqual(['de']);
  });
});

describe('field lines', () => {
  it('leaves out connection fields, also those that Connection names [RFC9110 §7.6.1]', () => {
    const lines = ['connection', 'close, X-Hop', 'x-hop', '1', 'te', 'x', 'x-end', '2'];
    expect(filterFields(lines, endToEnd(lines))).toEqual(['x-end', '2']);
  });
  it('does not store what no-cache and private name [RFC9111 §3.1]', () => {
    const lines = ['cache-control', 'no-cache="a", private="b", max-age=9', 'a', '1', 'b', '2'];
    const facts = factsOf(lines);
    expect(facts.directives).toMatchObject({ noCache: false, private: false });
    expect(storedFields(lines, facts)).toEqual(lines.slice(0, 2));
  });
  it('updates a stored head from a 304, but for what describes the bytes [RFC9111 §3.2]', () => {
    const stored = ['date', 'then', 'x', 'old', 'content-encoding', 'br', 'y', 'kept'];
    const newer = ['date', 'now', 'x', 'new', 'content-encoding', 'gzip', 'content-length', '0'];
    const updated = updatedFields(stored, newer);
    expect(fieldOf(updated, 'x')).toBe('new');
    expect(fieldOf(updated, 'date')).toBe('now');
    expect(fieldOf(updated, 'y')).toBe('kept');
    expect(fieldOf(updated, 'content-encoding')).toBe('br');
    expect(fieldOf(updated, 'content-length')).toBeUndefined();
  });
  it('passes nothing on that frames a message', () => {
    const lines = ['transfer-encoding', 'chunked', 'content-length', '5', 'host', 'evil', 'a', '1'];
    const passed = passedFields(lines, { host: 'h', scheme: 'http', address: '::1' });
    expect(passed.slice(0, 2)).toEqual(['a', '1']);
    expect(fieldOf(passed, 'host')).toBeUndefined();
    expect(fieldOf(passed, 'forwarded')).toBe('for="[::1]";host="h";proto=http');
  });
});

describe('keys', () => {
  const settings = {
    method: ['GET'],
    query: { ignore: ['utm_*', 'x'], sort: true },
    headers: [],
    cookies: [],
    forward: 'listed',
  } as const;
  const keying = { settings: { key: settings }, hooks: {} };
  const url = { host: 'A.example', path: '/p', query: '' };
  const idOf = (query: string) => pageTarget({ ...url, query }, keying, () => undefined).id;
  it('ignores and sorts what the policy says, and keeps several values in order', () => {
    expect(idOf('b=2&utm_x=1&a=9&a=1&x')).toBe('a.example/p?a=9&a=1&b=2');
    expect(idOf('utm_x=1')).toBe('a.example/p');
  });
  it('tell of a scheme that is not the own, last of all, and hide it from no purge', () => {
    const hooks = { cacheKey: (key: string) => `${key.length}` };
    const none = () => undefined;
    const https = { ...url, scheme: 'https' } as const;
    const ids = ['a.example/p', 'a.example/p\n:scheme=https'];
    expect(pageTarget(https, keying, none)).toEqual({ target: '/p', id: ids[1] });
    expect(pageTarget(https, { ...keying, hooks }, none).id).toBe('11\n:scheme=https');
    expect(keysOfUrl(url, keying, ['https'])).toMatchObject({ ids, prefixes: [] });
    expect(keysOfUrl(url, { ...keying, hooks }, ['http', 'https']).ids).toEqual([
      ...['11', '11\n:scheme=http', '11\n:scheme=https'],
    ]);
    const keyed = { ...keying, settings: { key: { ...settings, headers: ['x-a'] } } };
    expect(pageTarget(https, keyed, none).id).toBe('a.example/p\nx-a=\n:scheme=https');
    const { prefixes } = keysOfUrl(url, keyed, ['https']);
    expect(prefixes).toEqual(['a.example/p\n']);
  });
  it('takes the named cookies only', () => {
    expect(listedCookies('a=1; b=2;c=3', ['c', 'a'])).toBe('c=3; a=1');
    expect(listedCookies('b=2', ['a'])).toBeUndefined();
  });
});

describe('parts [RFC9110 §14]', () => {
  const part = { first: 4, last: 9, total: 20 };
  it.each([
    ['bytes=5-7', 1, 4],
    ['bytes=4-9', 0, 6],
  ])('answers %s from bytes 4 to 9', (range, from, to) => {
    expect(sliceOfPart(range, part, 6)).toMatchObject({ from, to });
  });
  it.each(['bytes=3-5', 'bytes=8-10', 'bytes=5-', 'bytes=-2', 'bytes=5-6,7-8', 'lines=5-6'])(
    'does not answer %s',
    (range) => {
      expect(sliceOfPart(range, part, 6)).toBeUndefined();
    },
  );
  it('promises no byte that did not come', () => {
    expect(sliceOfPart('bytes=8-9', part, 5)).toBeUndefined();
  });
  it.each(['bytes 5-4/9', 'bytes 0-9/9', 'bytes */9', 'items 0-1/2'])('refuses %s', (field) => {
    expect(parseContentRange(field)).toBeUndefined();
  });
});

describe('what a request changed [RFC9111 §4.4]', () => {
  it('is nothing for safe and failed requests', () => {
    expect(changedSomething('GET', 200)).toBe(false);
    expect(changedSomething('POST', 500)).toBe(false);
    expect(changedSomething('M-SEARCH', 204)).toBe(true);
  });
  it('is the target, and what the reply names on the same host', () => {
    const fields = ['location', '/b?c=1', 'content-location', 'http://other.example/x'];
    expect(changedTargets({ host: 'a.example', target: '/a' }, fields)).toEqual(['/a', '/b?c=1']);
  });
});

describe('the range that an origin is asked for [RFC9110 §14.2]', () => {
  const asked = (range: string) => rangeOf({ field: () => range });
  it.each(['bytes=0-9', 'bytes=-5', 'bytes=5-', 'Bytes=0-1, 3-4 ,-1'])('is %s', (range) => {
    expect(asked(range)).toBe(range);
  });
  it.each(['', 'bytes=', 'junk', 'items=0-1', 'bytes=a-b', `bytes=${'0-,'.repeat(9)}`])(
    'is the whole for %j',
    (range) => {
      expect(asked(range)).toBeUndefined();
    },
  );
});
