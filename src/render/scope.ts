/**
 * The page that is being rendered, found from anywhere below by `AsyncLocalStorage`. The storage is
 * one for the whole process, also where a bundler has put several copies of this module into it:
 * what a page reads through one copy is told by another.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { GroupSet } from './group-set.ts';

export class RenderScope {
  readonly groups = new GroupSet();
  /** What was read since the last `beginPart`. */
  #part: GroupSet | undefined;
  /** The head of the answer was sent: what is read now can no longer be told. */
  isToldAlready = false;
  /** Told of groups that came too late. */
  onLate: (groups: readonly string[]) => void = () => undefined;

  /** The page was made from these. */
  read(groups: readonly string[]): void {
    const late = this.isToldAlready ? groups.filter((one) => !this.groups.covers(one)) : [];
    this.groups.add(groups);
    this.#part?.add(groups);
    if (late.length > 0) this.onLate(late);
  }

  /**
   * From here on something is made that will be kept by itself: what the answer was made from
   * before, such as an older state of the same thing, is no part of it.
   */
  beginPart(): void {
    this.#part = new GroupSet();
  }

  get part(): GroupSet {
    return this.#part ?? this.groups;
  }
}

const STORAGE = Symbol.for('millrace.render.scope');

interface Shared {
  [STORAGE]?: AsyncLocalStorage<RenderScope> | undefined;
}

function storage(): AsyncLocalStorage<RenderScope> {
  const shared = globalThis as Shared;
  shared[STORAGE] ??= new AsyncLocalStorage<RenderScope>();
  return shared[STORAGE];
}

export const currentScope = (): RenderScope | undefined => storage().getStore();

export const runInScope = <T>(scope: RenderScope, run: () => T): T => storage().run(scope, run);
