/**
 * Clients that want nothing but their answers: one asks for what is held, one for what is not, one
 * a small query, each every 10 ms at most on a connection of its own. Told the address, the seconds
 * and the rows as JSON in its first argument; writes the latencies and failures it saw as one line.
 */
import { RawClient } from '../harness/raw-client.ts';
import { median, quantile } from '../harness/statistics.ts';

interface Order {
  readonly url: string;
  readonly seconds: number;
}

export interface Seen {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answers: number;
  /** Answered with a 5xx or 429, or the connection ended. */
  readonly failed: number;
}

export interface HonestReport {
  readonly hit: Seen;
  readonly miss: Seen;
  readonly query: Seen;
}

const PAUSE_MS = 10;
/** What comes before is not counted: the code of both ends is cold. */
const WARM_MS = 1_000;
const order: Order = JSON.parse(process.argv[2] ?? '{}');
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function client(path: (index: number) => string): Promise<Seen> {
  const latencies: number[] = [];
  let failed = 0;
  const began = performance.now();
  let connection = await RawClient.connect(order.url);
  for (let index = 0; performance.now() - began < order.seconds * 1000 + WARM_MS; index += 1) {
    const asked = performance.now();
    try {
      const reply = await connection.request('GET', path(index));
      if (reply.status >= 429) failed += 1;
      else if (asked - began > WARM_MS) latencies.push(reply.ms);
    } catch {
      failed += 1;
      connection = await RawClient.connect(order.url);
    }
    await pause(PAUSE_MS - (performance.now() - asked));
  }
  connection.close();
  return {
    p50Ms: median(latencies),
    p99Ms: quantile(latencies, 0.99),
    answers: latencies.length,
    failed,
  };
}

const run = `${process.pid}-${Math.random().toString(36).slice(2)}`;
const [hit, miss, query] = await Promise.all([
  client((index) => `/items/${index % 100}`),
  client((index) => `/items/honest-${run}-${index}`),
  client((index) => `/Small/?kind=${index % 20}&limit(5)`),
]);
process.stdout.write(`report ${JSON.stringify({ hit, miss, query })}\n`);
process.exit(0);
