/**
 * Who subscribed to what: topic filters without wildcards in a map, the others in a tree of levels.
 * One place for each distinct filter, so that a topic is compared with each once, whatever the
 * number of its subscribers.
 */
import type { QoS } from './publication.ts';

export interface Subscription {
  /** As the client wrote it, the name of a share included. */
  readonly written: string;
  /** What is compared with topics. */
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly id: number | undefined;
}

interface Held<Owner> {
  readonly owner: Owner;
  readonly subscription: Subscription;
  /** The usual match: nothing but this one. */
  readonly alone: readonly Subscription[];
}

/** The subscribers of one filter. */
type Members<Owner> = Map<Owner, Held<Owner>>;

interface Level<Owner> {
  readonly next: Map<string, Level<Owner>>;
  members: Members<Owner> | undefined;
}

const newLevel = <Owner>(): Level<Owner> => ({ next: new Map(), members: undefined });
const isWild = (filter: string): boolean => /[+#]/.test(filter);

export class SubscriptionTree<Owner> {
  readonly #exact = new Map<string, Members<Owner>>();
  readonly #wild = newLevel<Owner>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes the place of an earlier subscription of the same owner to the same filter. */
  add(owner: Owner, subscription: Subscription): void {
    const members = this.#membersOf(subscription.filter);
    if (!members.has(owner)) this.#size += 1;
    members.set(owner, { owner, subscription, alone: [subscription] });
  }

  remove(owner: Owner, filter: string): void {
    if (!isWild(filter)) {
      const members = this.#exact.get(filter);
      if (members?.delete(owner) === true) this.#size -= 1;
      if (members?.size === 0) this.#exact.delete(filter);
      return;
    }
    if (this.#prune(this.#wild, filter.split('/'), 0, owner)) this.#size -= 1;
  }

  /** Calls `visit` once for each owner of a matching filter, with all of its that match. */
  match(topic: string, visit: (owner: Owner, matched: readonly Subscription[]) => void): void {
    const found = this.#filtersOf(topic);
    const [first, ...others] = found;
    if (first === undefined) return;
    if (others.length === 0) {
      for (const { owner, alone } of first.values()) visit(owner, alone);
      return;
    }
    const byOwner = new Map<Owner, Subscription[]>();
    for (const members of found) {
      for (const [owner, { subscription }] of members) {
        const known = byOwner.get(owner);
        if (known === undefined) byOwner.set(owner, [subscription]);
        else known.push(subscription);
      }
    }
    for (const [owner, matched] of byOwner) visit(owner, matched);
  }

  hasMatch(topic: string): boolean {
    return this.#filtersOf(topic).length > 0;
  }

  #filtersOf(topic: string): Members<Owner>[] {
    const exact = this.#exact.get(topic);
    const found = exact === undefined ? [] : [exact];
    if (this.#wild.next.size > 0) collect(this.#wild, topic.split('/'), 0, found);
    return found;
  }

  #membersOf(filter: string): Members<Owner> {
    if (!isWild(filter)) {
      const known = this.#exact.get(filter) ?? new Map<Owner, Held<Owner>>();
      this.#exact.set(filter, known);
      return known;
    }
    let level = this.#wild;
    for (const name of filter.split('/')) {
      let next = level.next.get(name);
      if (next === undefined) {
        next = newLevel();
        level.next.set(name, next);
      }
      level = next;
    }
    level.members ??= new Map();
    return level.members;
  }

  /** Removes, and takes away the levels which nobody needs any more; whether it was there. */
  #prune(level: Level<Owner>, names: readonly string[], at: number, owner: Owner): boolean {
    const name = names[at];
    if (name === undefined) {
      const removed = level.members?.delete(owner) === true;
      if (level.members?.size === 0) level.members = undefined;
      return removed;
    }
    const next = level.next.get(name);
    if (next === undefined) return false;
    const removed = this.#prune(next, names, at + 1, owner);
    if (next.members === undefined && next.next.size === 0) level.next.delete(name);
    return removed;
  }
}

/** Depth is bounded: topics have at most `TOPIC_LEVELS_MAX` levels. */
function collect<Owner>(
  level: Level<Owner>,
  names: readonly string[],
  at: number,
  found: Members<Owner>[],
): void {
  // [MQTT5-4.7.2-1]: a leading wildcard leaves out what begins with `$`.
  const mayBeWild = at > 0 || names[0]?.startsWith('$') !== true;
  if (mayBeWild) {
    const rest = level.next.get('#')?.members;
    if (rest !== undefined) found.push(rest);
  }
  const name = names[at];
  if (name === undefined) {
    if (level.members !== undefined) found.push(level.members);
    return;
  }
  const literal = level.next.get(name);
  if (literal !== undefined) collect(literal, names, at + 1, found);
  const any = mayBeWild ? level.next.get('+') : undefined;
  if (any !== undefined && any !== literal) collect(any, names, at + 1, found);
}
