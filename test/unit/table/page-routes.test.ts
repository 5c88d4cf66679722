/** Which page table a request belongs to, by host and path. */
import { describe, expect, it } from 'vitest';
import { pageRoutes } from '../../../src/table/pages/page-routes.ts';

const place = (host: string | undefined, path: string) => ({ host, path });
const routes = pageRoutes([
  place(undefined, '/*'),
  place(undefined, '/blog/*'),
  place(undefined, '/blog/about'),
  place('*.example', '/*'),
  place('*.shop.example', '/*'),
  place('www.shop.example', '/cart/*'),
  place('www.shop.example', '/*'),
  place('www.shop.example:8443', '/*'),
  place('[::1]', '/only'),
]);
const taken = (host: string, path: string): string => {
  const found = routes({ path, header: () => host });
  return found === undefined ? 'none' : `${found.host ?? ''}${found.path}`;
};

describe('the table of a page', () => {
  it.each([
    ['other.test', '/x', '/*'],
    ['other.test', '/blog', '/*'],
    ['other.test', '/blog/', '/blog/*'],
    ['other.test', '/blog/about', '/blog/about'],
    ['a.example', '/blog/about', '*.example/*'],
    ['a.b.example', '/x', '*.example/*'],
    ['example', '/x', '/*'],
    ['notexample', '/x', '/*'],
    ['EU.Shop.Example', '/x', '*.shop.example/*'],
    ['www.shop.example', '/x', 'www.shop.example/*'],
    ['WWW.shop.example:9926', '/cart/1', 'www.shop.example/cart/*'],
    ['www.shop.example:8443', '/x', 'www.shop.example:8443/*'],
    ['[::1]:9926', '/only', '[::1]/only'],
    ['[::1]:9926', '/other', '/*'],
    ['', '/x', '/*'],
  ])('of %s%s is %s', (host, path, expected) => {
    expect(taken(host, path)).toBe(expected);
  });

  it('is none where no path fits', () => {
    const narrow = pageRoutes([place(undefined, '/a'), place('b.test', '/b/*')]);
    const header = () => 'b.test';
    expect(narrow({ path: '/b', header })).toBeUndefined();
    expect(narrow({ path: '/c', header })).toBeUndefined();
    expect(narrow({ path: '/b/c', header })?.path).toBe('/b/*');
  });
});
