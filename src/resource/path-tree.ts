/**
 * Finds what serves a path: literal segments before `:name` before `*rest`. A path without
 * parameters also owns what lies below it (ids); one with parameters is matched as a whole.
 */

export interface PathMatch<T> {
  readonly value: T;
  /** Raw path after the matched one: '' or beginning with '/'. */
  readonly rest: string;
  readonly params: Readonly<Record<string, string>>;
  readonly wildcard: string | undefined;
}

interface Leaf<T> {
  readonly value: T;
  readonly names: readonly string[];
}

interface Branch<T> {
  readonly literal: Map<string, Branch<T>>;
  param: Branch<T> | undefined;
  wildcard: Leaf<T> | undefined;
  leaf: Leaf<T> | undefined;
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

export class PathTree<T> {
  readonly #root: Branch<T> = newBranch();
  readonly #paths: string[] = [];

  /** Every path that was set, as it was written. */
  get paths(): readonly string[] {
    return this.#paths;
  }

  /** False when the path is taken already. */
  set(path: string, value: T): boolean {
    const names: string[] = [];
    let branch = this.#root;
    for (const segment of segmentsOf(path)) {
      if (segment.startsWith('*')) {
        if (branch.wildcard !== undefined) return false;
        names.push(segment.slice(1));
        branch.wildcard = { value, names };
        this.#paths.push(path);
        return true;
      }
      if (segment.startsWith(':')) names.push(segment.slice(1));
      branch = childOf(branch, segment);
    }
    if (branch.leaf !== undefined) return false;
    branch.leaf = { value, names };
    this.#paths.push(path);
    return true;
  }

  match(path: string): PathMatch<T> | undefined {
    const found = matchFrom(this.#root, path, 0, []);
    // What serves `/` does not own everything below it: that may be a file.
    const isRoot = found?.wildcard === undefined && found?.rest === path && path.length > 1;
    return isRoot ? undefined : found;
  }
}

const newBranch = <T>(): Branch<T> => ({
  literal: new Map(),
  param: undefined,
  wildcard: undefined,
  leaf: undefined,
});

const segmentsOf = (path: string): string[] => path.split('/').filter((part) => part !== '');

function childOf<T>(branch: Branch<T>, segment: string): Branch<T> {
  if (segment.startsWith(':')) {
    branch.param ??= newBranch();
    return branch.param;
  }
  let child = branch.literal.get(segment);
  if (child === undefined) {
    child = newBranch();
    branch.literal.set(segment, child);
  }
  return child;
}

/** `at` is where the next segment's slash stands. */
function matchFrom<T>(
  branch: Branch<T>,
  path: string,
  at: number,
  values: readonly string[],
): PathMatch<T> | undefined {
  const rest = path.slice(at);
  if (rest.length > 1) {
    const slash = path.indexOf('/', at + 1);
    const end = slash === -1 ? path.length : slash;
    const segment = path.slice(at + 1, end);
    const literal = branch.literal.get(segment);
    const deeper = literal && matchFrom(literal, path, end, values);
    if (deeper !== undefined) return deeper;
    const text = segment === '' ? undefined : decoded(segment);
    if (branch.param !== undefined && text !== undefined) {
      const found = matchFrom(branch.param, path, end, [...values, text]);
      if (found !== undefined) return found;
    }
  }
  return matchHere(branch, rest, values);
}

function matchHere<T>(
  branch: Branch<T>,
  rest: string,
  values: readonly string[],
): PathMatch<T> | undefined {
  const { leaf, wildcard } = branch;
  // A path of parameters names one thing: nothing lies below it.
  if (leaf !== undefined && (rest.length <= 1 || leaf.names.length === 0)) {
    return { value: leaf.value, rest, params: paramsOf(leaf, values), wildcard: undefined };
  }
  const text = wildcard === undefined ? undefined : decoded(rest.replace(/^\//, ''));
  if (wildcard === undefined || text === undefined) return undefined;
  const params = paramsOf(wildcard, [...values, text]);
  return { value: wildcard.value, rest, params, wildcard: text };
}

function paramsOf<T>({ names }: Leaf<T>, values: readonly string[]): PathMatch<T>['params'] {
  if (names.length === 0) return NO_PARAMS;
  const named = names.map((name, index) => [name, values[index] ?? ''] as const);
  return Object.fromEntries(named.filter(([name]) => name !== ''));
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
