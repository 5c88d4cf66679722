/**
 * Clients that do not take all that they were sent at once. The engine would cut each of them off
 * ten seconds later, also one that reads: it hears of room only when a third of the kernel's buffer
 * is free. So they are looked at more often than that, and given up when they have taken nothing
 * for a while.
 */
import type { Taking } from '../stream-writer.ts';
import { Rounds } from './rounds.ts';

/** The engine's patience is 10 s, in steps of 4. */
const VISIT_EVERY_MS = 3_000;
/** A visit that could tell nothing counts as this part of one that found the client still. */
const UNKNOWN_COUNTS = 0.25;

export interface SlowReader {
  /** Where it is in the rounds; -1: it is not visited. */
  place: number;
  /** Visits in a row at which it had taken nothing. */
  stillVisits: number;
  probe(): Taking;
  giveUp(): void;
}

export class SlowReaders {
  readonly #rounds: Rounds<SlowReader>;

  /** `patienceMs`: how long a client may take nothing. */
  constructor(patienceMs: number) {
    const visitsMax = Math.max(1, Math.floor(patienceMs / VISIT_EVERY_MS));
    this.#rounds = new Rounds(VISIT_EVERY_MS, (reader) => {
      const taking = reader.probe();
      if (taking === 'taking') reader.stillVisits = 0;
      else reader.stillVisits += taking === 'still' ? 1 : UNKNOWN_COUNTS;
      if (reader.stillVisits >= visitsMax) reader.giveUp();
    });
  }

  watch(reader: SlowReader): void {
    if (reader.place < 0) reader.place = this.#rounds.join(reader);
  }

  /** It has taken enough for the engine to have room. */
  forget(reader: SlowReader): void {
    if (reader.place < 0) return;
    this.#rounds.leave(reader, reader.place);
    reader.place = -1;
    reader.stillVisits = 0;
  }

  stop(): void {
    this.#rounds.stop();
  }
}
