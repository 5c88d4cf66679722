/**
 * Wills of clients that went without saying goodbye: published at once, or when their delay is over
 * or the session ends, whichever comes first; not at all when the client is back in time
 * [MQTT5 §3.1.2.5, §3.1.3.2.2].
 */
import { durationMs } from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import type { Session, Will } from './session.ts';

export class Wills {
  readonly #clock: Clock;
  readonly #publish: (session: Session, will: Will) => void;
  readonly #delayed = new Map<Session, Cancel>();

  constructor(clock: Clock, publish: (session: Session, will: Will) => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  /** The connection ended and the session may live on. */
  due(session: Session, sessionSeconds: number): void {
    const { will } = session;
    if (will === undefined) return;
    // [MQTT5-3.1.2-10]
    const seconds = Math.min(will.delaySeconds, sessionSeconds);
    if (seconds === 0) {
      this.now(session);
      return;
    }
    const cancel = this.#clock.after(durationMs(seconds * 1000), () => this.now(session));
    this.#delayed.set(session, cancel);
  }

  /** The session is over, or its delay is. */
  now(session: Session): void {
    const { will } = session;
    this.cancel(session);
    session.will = undefined;
    if (will !== undefined) this.#publish(session, will);
  }

  /** The client is back [MQTT5-3.1.3-9]. */
  cancel(session: Session): void {
    this.#delayed.get(session)?.();
    this.#delayed.delete(session);
  }
}
