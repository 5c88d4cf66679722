/**
 * A line in which whoever asks for a thousand things does not stand before whoever asks for one:
 * it is served source by source, one item each. A source that had no turn in the round under way
 * comes first (as "new flows" do in RFC 8290): one which asks for a thing now and then waits for
 * none of the others, however many they are. After a few of those in a row the round goes on, so
 * that ever new sources do not stand before the others for ever.
 */
/** Newcomers that are served in a row while others wait. */
const NEWCOMERS_MAX = 4;

export class FairLine<T> {
  /** Sources that had no turn in this round. */
  readonly #newcomers = new Map<string, T[]>();
  /**
   * The round, in order: the first is next, and goes to its end. A source stays until it comes to
   * its turn with nothing to ask for: until then it is no newcomer.
   */
  readonly #round = new Map<string, T[]>();
  #inARow = 0;
  #length = 0;
  /** Sources for which something waits. */
  #waiting = 0;

  get length(): number {
    return this.#length;
  }

  push(source: string, item: T): void {
    const items = this.#newcomers.get(source) ?? this.#round.get(source);
    if (items === undefined) this.#newcomers.set(source, [item]);
    else items.push(item);
    if (items === undefined || items.length === 1) this.#waiting += 1;
    this.#length += 1;
  }

  shift(): T | undefined {
    const isRoundNext = this.#inARow >= NEWCOMERS_MAX;
    const next = (isRoundNext ? undefined : this.#first(this.#newcomers)) ?? this.#nextOfRound();
    const [source, items] = next ?? this.#first(this.#newcomers) ?? [];
    if (source === undefined || items === undefined) return undefined;
    this.#inARow = this.#newcomers.delete(source) ? this.#inARow + 1 : 0;
    const item = items.shift();
    this.#round.delete(source);
    this.#round.set(source, items);
    this.#left(items);
    return item;
  }

  /**
   * Takes the newest item of the source that has most, if `source` has less than its share of the
   * line and that one more; `undefined`: nobody gives way.
   */
  giveWay(source: string): T | undefined {
    const own = (this.#newcomers.get(source) ?? this.#round.get(source))?.length ?? 0;
    if (own >= Math.floor(this.#length / (this.#waiting + (own === 0 ? 1 : 0)))) return undefined;
    let longest: T[] = [];
    for (const sources of [this.#newcomers, this.#round]) {
      for (const items of sources.values()) if (items.length > longest.length) longest = items;
    }
    if (longest.length <= own + 1) return undefined;
    const item = longest.pop();
    this.#left(longest);
    return item;
  }

  #first(sources: ReadonlyMap<string, T[]>): readonly [string, T[]] | undefined {
    for (const entry of sources) return entry;
    return undefined;
  }

  #nextOfRound(): readonly [string, T[]] | undefined {
    for (const entry of this.#round) {
      if (entry[1].length > 0) return entry;
      this.#round.delete(entry[0]);
    }
    return undefined;
  }

  /** One of these items has left the line. */
  #left(items: readonly T[]): void {
    this.#length -= 1;
    if (items.length === 0) this.#waiting -= 1;
    if (this.#length > 0) return;
    // Nobody waits: there is no round.
    this.#newcomers.clear();
    this.#round.clear();
    this.#inARow = 0;
  }
}
