/** What MQTT counts, as plain numbers which the metrics read when they are scraped. */
export interface Counts {
  connections: number;
  messagesReceived: number;
  messagesSent: number;
  /** Sessions told that what they had not read is gone. */
  resets: number;
  /** Publishes that were refused, and packets that were faulty. */
  refused: number;
  faults: number;
  /** Times that each limit refused something, by its name. */
  readonly limits: Map<string, number>;
}

export const createCounts = (): Counts => ({
  connections: 0,
  messagesReceived: 0,
  messagesSent: 0,
  resets: 0,
  refused: 0,
  faults: 0,
  limits: new Map(),
});

export function limitHit({ limits }: Counts, limit: string): void {
  limits.set(limit, (limits.get(limit) ?? 0) + 1);
}
