/**
 * The port to those who are connected: each thread that serves sockets, streams or MQTT sessions
 * tells of its own, and does to them what an operator asks. What an operation answers is gathered
 * from all of them.
 */

export type LiveProtocol = 'websocket' | 'sse' | 'mqtt';
export const LIVE_PROTOCOLS: readonly LiveProtocol[] = ['websocket', 'sse', 'mqtt'];

/** One connection, or one MQTT session with or without its client. */
export interface SessionReport {
  /** Names it to `disconnect`: for MQTT the client identifier. */
  readonly session: string;
  readonly protocol: LiveProtocol;
  /** '' for nobody in particular. */
  readonly user: string;
  readonly address: string;
  /** Milliseconds since 1970; absent for a session whose client is away. */
  readonly openedAt?: number | undefined;
  readonly connected: boolean;
  readonly subscriptions: number;
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
}

export interface SubscriptionReport {
  readonly session: string;
  readonly protocol: LiveProtocol;
  readonly user: string;
  /** Name that the client gave it. */
  readonly name?: string | number | undefined;
  /** What is followed: a path with its query, or a topic filter. */
  readonly resource: string;
  readonly table?: string | undefined;
  /** `live`, or what it is on its way through. */
  readonly stage: string;
}

/** Whom it concerns; what is absent concerns everybody. */
export interface Whom {
  readonly session?: string | undefined;
  readonly user?: string | undefined;
  readonly address?: string | undefined;
  readonly protocol?: LiveProtocol | undefined;
}

export interface Sent {
  readonly sent: number;
  /** Clients without room, who were left out. */
  readonly skipped: number;
}

/** `most`: rows that are told; `total` counts them all. */
export interface Told<T> {
  readonly total: number;
  readonly rows: readonly T[];
}

export interface LiveClients {
  sessions(whom: Whom, most: number): Promise<Told<SessionReport>>;
  subscriptions(whom: Whom, most: number): Promise<Told<SubscriptionReport>>;
  /** How many were ended; with `comesBack` they are told to return. */
  disconnect(whom: Whom, comesBack: boolean): Promise<number>;
  /** Sends a message that belongs to no subscription; `json` is its value. */
  broadcast(whom: Whom, json: string): Promise<Sent>;
}

export const concerns = (
  { session, user, address, protocol }: Whom,
  one: Pick<SessionReport, 'session' | 'user' | 'address' | 'protocol'>,
): boolean =>
  (session === undefined || session === one.session) &&
  (user === undefined || user === one.user) &&
  (address === undefined || address === one.address) &&
  (protocol === undefined || protocol === one.protocol);

/** Those of several threads as one. */
export function together(threads: () => readonly LiveClients[]): LiveClients {
  const all = <T>(ask: (one: LiveClients) => Promise<T>): Promise<T[]> =>
    Promise.all(threads().map(ask));
  return {
    sessions: async (whom, most) => joined(await all((one) => one.sessions(whom, most)), most),
    subscriptions: async (whom, most) =>
      joined(await all((one) => one.subscriptions(whom, most)), most),
    async disconnect(whom, comesBack) {
      const counts = await all((one) => one.disconnect(whom, comesBack));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async broadcast(whom, json) {
      const counts = await all((one) => one.broadcast(whom, json));
      return {
        sent: counts.reduce((sum, { sent }) => sum + sent, 0),
        skipped: counts.reduce((sum, { skipped }) => sum + skipped, 0),
      };
    },
  };
}

function joined<T>(parts: readonly Told<T>[], most: number): Told<T> {
  return {
    total: parts.reduce((sum, { total }) => sum + total, 0),
    rows: parts.flatMap(({ rows }) => rows).slice(0, most),
  };
}

/** The first `most` of those that `pick` makes a row of. */
export function told<A, B>(
  all: Iterable<A>,
  most: number,
  pick: (one: A) => B | undefined,
): Told<B> {
  const rows: B[] = [];
  let total = 0;
  for (const one of all) {
    const row = pick(one);
    if (row === undefined) continue;
    total += 1;
    if (rows.length < most) rows.push(row);
  }
  return { total, rows };
}
