/** Which resource serves a path: literal before parameter before wildcard, longest first. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathTree } from '../../../src/resource/path-tree.ts';

function treeOf(...paths: readonly string[]): PathTree<string> {
  const tree = new PathTree<string>();
  for (const path of paths) expect(tree.set(path, path)).toBe(true);
  return tree;
}

const found = (tree: PathTree<string>, path: string) => {
  const match = tree.match(path);
  return match && [match.value, match.rest, { ...match.params }];
};

describe('a path tree', () => {
  const tree = treeOf('a', 'a/b', 'shop/:shop', 'shop/new', 'shop/:shop/items/:id', 'files/*path');

  it.each([
    ['/a', ['a', '', {}]],
    ['/a/', ['a', '/', {}]],
    ['/a/x/y', ['a', '/x/y', {}]],
    ['/a/b/c', ['a/b', '/c', {}]],
    ['/a/bc', ['a', '/bc', {}]],
    ['/shop/new', ['shop/new', '', {}]],
    ['/shop/old', ['shop/:shop', '', { shop: 'old' }]],
    ['/shop/a%20b/items/7', ['shop/:shop/items/:id', '', { shop: 'a b', id: '7' }]],
    ['/files/x/y.txt', ['files/*path', '/x/y.txt', { path: 'x/y.txt' }]],
  ])('leads %s to its owner', (path, expected) => {
    expect(found(tree, path)).toEqual(expected);
  });

  it.each(['/', '/ab', '/shop', '/shop/old/items', '/shop/%ff', '/shop//items/7'])(
    'knows nobody for %s',
    (path) => expect(found(tree, path)).toBeUndefined(),
  );

  it('gives `/` to a default export and leaves what lies below it to files', () => {
    const rooted = treeOf('', 'a');
    expect(found(rooted, '/')).toEqual(['', '/', {}]);
    expect(found(rooted, '/style.css')).toBeUndefined();
  });

  it('refuses a path that is taken', () => {
    expect(tree.set('a', 'other')).toBe(false);
    expect(tree.set('shop/:other', 'other')).toBe(false);
  });

  it('never throws, whatever is asked', () => {
    fc.assert(fc.property(fc.string(), (text) => void tree.match(`/${text}`)));
    fc.assert(fc.property(fc.webPath(), (path) => void tree.match(path)));
  });
});
