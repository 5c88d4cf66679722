/** How a path may be read by an origin that resolves what Millrace leaves as it is. */
import { describe, expect, it } from 'vitest';
import { plainPath, resolvedPath } from '../../../../src/cache/pages/path-forms.ts';

describe('the forms of a path', () => {
  it.each([
    ['/a/b', undefined],
    ['/', undefined],
    ['/a/../b', '/b'],
    ['/../../b', '/b'],
    ['/a/./b/', '/a/b/'],
    ['/a//b', '/a/b'],
    ['/a/%2e%2E/b', '/b'],
    ['/a%2f..%2fb', '/b'],
    ['/a%5c..\\b', '/b'],
    ['/a/..;x=1/b;y', '/b'],
    ['/a%252e/b', '/a./b'],
    ['/a%3fb.css', '/a'],
    ['/a#b', '/a'],
    ['/a%00b', '/a'],
    ['/a%20b', '/a%20b'],
    ['/.well-known/x', '/.well-known/x'],
    ['/%', '/%'],
  ])('%s may be resolved to %s', (path, resolved) => {
    expect(resolvedPath(path)).toBe(resolved);
  });

  it('decodes in the plain form only what needs no encoding', () => {
    expect(plainPath('/%61%2Fb%7E')).toBe('/a%2Fb~');
  });
});
