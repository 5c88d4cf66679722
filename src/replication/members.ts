/**
 * The nodes of the cluster by name, as every node tells the others (SPEC §8): of two words about
 * one node the greater version is in force, of equal ones the one that says less. Leaving is a
 * version of it, and final for who does not join anew.
 */
import { BOUNDS } from './bounds.ts';
import type { Member } from './frames.ts';

export const MEMBERS_NOTE = 'replication/members';

/** Which of two words about one node is in force. */
function isNewer(one: Member, other: Member): boolean {
  if (one.version !== other.version) return one.version > other.version;
  if (one.isLeft !== other.isLeft) return one.isLeft;
  return one.urls.join() > other.urls.join();
}

export class Members {
  readonly #byName = new Map<string, Member>();
  /** By name, until one of them changes. */
  #sorted: readonly Member[] | undefined;

  constructor(known: readonly Member[]) {
    this.learn(known);
  }

  get all(): readonly Member[] {
    this.#sorted ??= [...this.#byName.values()].toSorted((one, other) =>
      one.name < other.name ? -1 : 1,
    );
    return this.#sorted;
  }

  get present(): readonly Member[] {
    return this.all.filter(({ isLeft }) => !isLeft);
  }

  of(name: string): Member | undefined {
    return this.#byName.get(name);
  }

  /** Whether something was new. Beyond the bound, unknown names are not learned. */
  learn(told: readonly Member[]): boolean {
    let hasNews = false;
    for (const member of told) {
      const known = this.#byName.get(member.name);
      if (known === undefined && this.#byName.size >= BOUNDS.names) continue;
      if (known !== undefined && !isNewer(member, known)) continue;
      this.#byName.set(member.name, member);
      this.#sorted = undefined;
      hasNews = true;
    }
    return hasNews;
  }

  /** This node's own word about a node, above all that was said of it. */
  declare(name: string, urls: readonly string[], isLeft: boolean, now: number): boolean {
    const known = this.#byName.get(name);
    const isSame =
      known !== undefined && known.isLeft === isLeft && known.urls.join() === urls.join();
    if (isSame) return false;
    const version = Math.max(now, (known?.version ?? 0) + 1);
    return this.learn([{ name, urls, version, isLeft }]);
  }
}
