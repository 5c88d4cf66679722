/**
 * The league, which knows nothing of Millrace: it plays a match day again and again, many times
 * faster than it was (SPEED, 60 unless given: a match in under two minutes), and tells each change
 * on two event streams and by single requests.
 *
 *   GET /matches/m1  /incidents/m1-001      one row
 *   GET /matches/stream  /incidents/stream  rows as they are, then each change
 */
import { createServer } from 'node:http';
import { script } from './match-day.js';

const speed = Number(process.env.SPEED ?? 60);
const firstSeed = Number(process.env.SEED ?? 1);
const TICK_MS = 100;
const PAUSE_MS = 8_000;
const KEPT = 5_000;
const UNSENT_BYTES_MAX = 1_000_000;
/** Names this process in the ids of events: their numbers begin anew in each. */
const run = String(Date.now());

class Feed {
  rows = new Map();
  #clients = new Set();
  #events = [];
  #serial = 0;

  put(row) {
    this.rows.set(row.id, row);
    this.#serial += 1;
    const text = this.#text(row, this.#serial);
    this.#events.push({ serial: this.#serial, text });
    if (this.#events.length > KEPT) this.#events.shift();
    for (const response of this.#clients) {
      response.write(text);
      // Whoever does not read comes back and says how far it had come.
      if (response.writableLength > UNSENT_BYTES_MAX) response.destroy();
    }
  }

  attach(request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: 1000\n\n${this.#missed(request.headers['last-event-id'] ?? '')}`);
    this.#clients.add(response);
    response.on('close', () => this.#clients.delete(response));
  }

  #missed(lastEventId) {
    const [of, serial] = lastEventId.split('.');
    const first = this.#events[0]?.serial ?? 1;
    if (of === run && Number(serial) + 1 >= first) {
      return this.#events
        .filter((one) => one.serial > serial)
        .map((one) => one.text)
        .join('');
    }
    return [...this.rows.values()].map((row) => this.#text(row, this.#serial)).join('');
  }

  #text(row, serial) {
    return `id: ${run}.${serial}\ndata: ${JSON.stringify({ id: row.id, row })}\n\n`;
  }
}

const feeds = { matches: new Feed(), incidents: new Feed() };

const server = createServer((request, response) => {
  const [, table, id] = request.url.split('/');
  const feed = feeds[table];
  if (feed !== undefined && id === 'stream') return feed.attach(request, response);
  const row = feed?.rows.get(decodeURIComponent(id ?? ''));
  response.writeHead(row === undefined ? 404 : 200, { 'content-type': 'application/json' });
  return response.end(JSON.stringify(row ?? { error: 'not found' }));
});
server.listen(Number(process.env.PORT ?? 9810), '127.0.0.1', () => {
  console.log(`origin ready http://127.0.0.1:${server.address().port}`);
  playDay(firstSeed);
});
process.on('SIGTERM', () => process.exit(0));

function playDay(seed) {
  const steps = script(seed);
  const startedAt = Date.now();
  console.log(`match day ${seed}: ${steps.length} changes, ${speed} times as fast as they were`);
  const timer = setInterval(() => {
    const second = ((Date.now() - startedAt) / 1000) * speed;
    while (steps.length > 0 && steps[0].second <= second) {
      const { table, row } = steps.shift();
      feeds[table].put(row);
    }
    if (steps.length > 0) return;
    clearInterval(timer);
    setTimeout(() => playDay(seed + 1), PAUSE_MS);
  }, TICK_MS);
}
