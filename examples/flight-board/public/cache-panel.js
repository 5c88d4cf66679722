/**
 * Reads airports from the node again and again and shows what the cache said of each read: the
 * verdict out of `Cache-Status` (RFC 9211), the `Age`, and how long the answer took.
 */
const READ_EVERY_MS = 1_500;
const CHIPS = 44;
/** Every so many reads another airport is asked for, so that a miss is seen now and then. */
const STRANGER_EVERY = 9;

/** What `Cache-Status` amounts to, in one word. */
export function verdictOf(cacheStatus) {
  const [, ...parameters] = (cacheStatus ?? '').split(';').map((part) => part.trim());
  const value = (name) => parameters.find((part) => part.startsWith(`${name}=`))?.split('=')[1];
  if (value('detail')?.startsWith('stale')) {
    return parameters.includes('hit') ? 'stale' : 'fallback';
  }
  if (parameters.includes('hit')) return Number(value('ttl') ?? 0) < 0 ? 'stale' : 'hit';
  if (value('fwd') === undefined) return 'unknown';
  return value('fwd-status') === '304' ? 'revalidated' : 'miss';
}

const MEANING = {
  hit: 'Fresh: answered from the store',
  stale: 'Stale, and allowed: answered at once, refreshed behind',
  fallback: 'Stale, and allowed: the airline did not answer',
  revalidated: 'Asked the airline, unchanged (304)',
  miss: 'Fetched from the airline',
  failed: 'No answer',
  unknown: 'Answered without a verdict',
};

export class CachePanel {
  #nodes;
  #id;
  #reads = [];
  #strangers = [];
  #count = 0;
  #onAirport;

  /** `nodes`: the elements `strip`, `counters` and `last`; `onAirport(record)` hears each answer. */
  constructor(nodes, onAirport) {
    this.#nodes = nodes;
    this.#onAirport = onAirport;
    this.#nodes.strip.replaceChildren(...Array.from({ length: CHIPS }, () => emptyChip()));
  }

  start() {
    const tick = () => {
      if (document.hidden) return;
      this.#count += 1;
      const strange = this.#count % STRANGER_EVERY === 0;
      void this.read(strange ? this.#stranger() : this.#id);
    };
    setInterval(tick, READ_EVERY_MS);
  }

  /** The airport that is read from now on. */
  watch(id) {
    this.#id = id;
    return this.read(id);
  }

  set airports(ids) {
    this.#strangers = [...ids].sort(() => Math.random() - 0.5);
  }

  readStranger() {
    return this.read(this.#stranger());
  }

  #stranger() {
    const id = this.#strangers.shift() ?? this.#id;
    this.#strangers.push(id);
    return id;
  }

  async read(id = this.#id) {
    const url = `/Airport/${id}`;
    const startedAt = performance.now();
    const read = { id, verdict: 'failed', ms: 0, status: 0, age: null, cacheStatus: '' };
    try {
      const response = await fetch(url, { headers: { accept: 'application/json' } });
      const airport = await response.json();
      read.ms = networkMs(url) ?? performance.now() - startedAt;
      read.status = response.status;
      read.age = response.headers.get('age');
      read.cacheStatus = response.headers.get('cache-status') ?? '';
      read.verdict = response.ok ? verdictOf(read.cacheStatus) : 'failed';
      if (response.ok) this.#onAirport(airport);
    } catch {
      read.ms = performance.now() - startedAt;
    }
    this.#show(read);
  }

  #show(read) {
    this.#reads.push(read);
    if (this.#reads.length > 500) this.#reads.shift();
    this.#nodes.strip.firstElementChild?.remove();
    this.#nodes.strip.append(chip(read));
    this.#nodes.counters.replaceChildren(...this.#counters());
    this.#nodes.last.replaceChildren(...lastAnswer(read));
  }

  #counters() {
    const of = (...verdicts) => this.#reads.filter((read) => verdicts.includes(read.verdict));
    const [held, fetched] = [of('hit', 'stale', 'fallback'), of('miss', 'revalidated')];
    return [
      ['hit', 'Hits', of('hit').length],
      ['stale', 'Stale', of('stale', 'fallback').length],
      ['miss', 'Origin asked', fetched.length],
      ['', 'From cache', medianMs(held)],
      ['', 'From origin', medianMs(fetched)],
    ].map(([verdict, name, value]) => {
      const group = document.createElement('div');
      group.dataset.verdict = verdict;
      group.append(element('dt', name), element('dd', value));
      return group;
    });
  }
}

function chip(read) {
  const item = document.createElement('li');
  item.dataset.verdict = read.verdict;
  // 1 ms is a tenth of the height, 10 ms half of it, 150 ms nearly all.
  const height = 0.16 + 0.84 * Math.min(1, Math.log10(1 + read.ms) / Math.log10(250));
  item.style.setProperty('--height', height.toFixed(3));
  item.title = `${read.id}: ${read.verdict}, ${read.ms.toFixed(1)} ms`;
  item.append(element('span', item.title, 'unseen'));
  return item;
}

function emptyChip() {
  const item = document.createElement('li');
  item.dataset.verdict = 'none';
  item.ariaHidden = 'true';
  return item;
}

function lastAnswer(read) {
  const lines = [
    element('b', `GET /Airport/${read.id}`),
    `  ${read.status || 'no answer'}  ${read.ms.toFixed(1)} ms\n`,
    `Cache-Status: ${read.cacheStatus || '-'}\nAge: ${read.age ?? '-'}\n`,
    element('span', MEANING[read.verdict], `meaning ${read.verdict}`),
  ];
  return lines.map((line) => (typeof line === 'string' ? document.createTextNode(line) : line));
}

function element(name, text, className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** The browser's own measure of the last request for `url`; a busy page would distort ours. */
function networkMs(url) {
  const timing = performance.getEntriesByName(new URL(url, location.href).href).at(-1);
  performance.clearResourceTimings();
  const ms = timing === undefined ? 0 : timing.responseEnd - timing.requestStart;
  return ms > 0 ? ms : undefined;
}

function medianMs(reads) {
  if (reads.length === 0) return '–';
  const sorted = reads.map((read) => read.ms).sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  return `${median < 10 ? median.toFixed(1) : Math.round(median)} ms`;
}
