/**
 * Visits each of its members once in a period, an eighth of them at a time: ten thousand at once
 * would keep the thread from everybody else. One timer, which runs while there is anybody to visit.
 */
const PARTS = 8;

export class Rounds<Member> {
  readonly #periodMs: number;
  readonly #visit: (member: Member) => void;
  readonly #parts: readonly Set<Member>[] = Array.from({ length: PARTS }, () => new Set());
  #timer: NodeJS.Timeout | undefined;
  #size = 0;
  #joined = 0;
  #turn = 0;

  constructor(periodMs: number, visit: (member: Member) => void) {
    this.#periodMs = periodMs;
    this.#visit = visit;
  }

  /** The place of the member, by which it leaves; its first visit is up to a period away. */
  join(member: Member): number {
    this.#joined = (this.#joined + 1) % PARTS;
    this.#parts[this.#joined]?.add(member);
    this.#size += 1;
    this.#timer ??= setInterval(() => this.#visitNext(), this.#periodMs / PARTS).unref();
    return this.#joined;
  }

  leave(member: Member, place: number): void {
    if (this.#parts[place]?.delete(member) !== true) return;
    this.#size -= 1;
    if (this.#size === 0) this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #visitNext(): void {
    this.#turn = (this.#turn + 1) % PARTS;
    // Copied: whoever leaves and joins again meanwhile is not to be visited twice.
    for (const member of [...(this.#parts[this.#turn] ?? [])]) this.#visit(member);
  }
}
