/**
 * A line in which whoever asks for a thousand things does not stand before whoever asks for one:
 * it is served source by source, one item each. A source of which nothing waits already comes first
 * (as "new flows" do in RFC 8290): one which asks for one thing after the other waits for none of
 * those who ask for many at once, however many they are. After a few of those in a row the others
 * have a turn, so that ever new sources do not stand before them for ever.
 */
/** Newcomers that are served in a row while others wait. */
const NEWCOMERS_MAX = 4;

export class FairLine<T> {
  /** Sources of which nothing waited when they asked. */
  readonly #newcomers = new Map<string, T[]>();
  /** The others, in order: the first is next, and goes to its end while it has more. */
  readonly #round = new Map<string, T[]>();
  #inARow = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(source: string, item: T): void {
    const items = this.#itemsOf(source);
    if (items === undefined) this.#newcomers.set(source, [item]);
    else items.push(item);
    this.#length += 1;
  }

  shift(): T | undefined {
    const isRoundNext = this.#inARow >= NEWCOMERS_MAX && this.#round.size > 0;
    const isNewcomer = this.#newcomers.size > 0 && !isRoundNext;
    const sources = isNewcomer ? this.#newcomers : this.#round;
    const [source, items] = first(sources) ?? [];
    if (source === undefined || items === undefined) return undefined;
    this.#inARow = isNewcomer ? this.#inARow + 1 : 0;
    const item = items.shift();
    this.#length -= 1;
    sources.delete(source);
    if (items.length > 0) this.#round.set(source, items);
    if (this.#length === 0) this.#inARow = 0;
    return item;
  }

  /**
   * Takes the newest item of the source that has most, if `source` has less than its share of the
   * line and that one more; `undefined`: nobody gives way.
   */
  giveWay(source: string): T | undefined {
    const own = this.#itemsOf(source)?.length ?? 0;
    const asking = this.#newcomers.size + this.#round.size + (own === 0 ? 1 : 0);
    if (own >= Math.floor(this.#length / asking)) return undefined;
    let longest: T[] = [];
    for (const sources of [this.#newcomers, this.#round]) {
      for (const items of sources.values()) if (items.length > longest.length) longest = items;
    }
    // Whoever has more than one keeps something: no source is left without an item here.
    if (longest.length <= own + 1) return undefined;
    this.#length -= 1;
    return longest.pop();
  }

  #itemsOf(source: string): T[] | undefined {
    return this.#newcomers.get(source) ?? this.#round.get(source);
  }
}

function first<T>(sources: ReadonlyMap<string, T[]>): readonly [string, T[]] | undefined {
  for (const entry of sources) return entry;
  return undefined;
}
