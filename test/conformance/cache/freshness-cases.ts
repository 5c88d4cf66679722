/** Freshness, age and request directives: when a stored reply answers by itself. */
import { durationMs, epochMs } from '../../../src/base/brands.ts';
import { NEVER } from '../../../src/cache/entry.ts';
import { type ConformanceCase, fetched, hit } from './case.ts';

const START = 1_000_000_000_000;
const revalidated = (fwd: string, body = '{}') =>
  ({
    origin: { reply: { body } },
    expect: { kind: 'found', served: 'fetched', fwd },
  }) as const;

export const FRESHNESS_CASES: readonly ConformanceCase[] = [
  {
    id: 'freshness-max-age',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.2.1',
    steps: [fetched({ cacheControl: 'max-age=10' }), { wait: 9 }, hit('', { age: 9, ttl: 1 })],
  },
  {
    id: 'freshness-max-age-stale',
    kind: 'required',
    clause: 'RFC9111 §4.2',
    dependsOn: ['freshness-max-age'],
    steps: [
      fetched({ cacheControl: 'max-age=10' }),
      { wait: 10 },
      { read: '', ...revalidated('stale') },
    ],
  },
  {
    id: 'freshness-max-age-0',
    kind: 'required',
    clause: 'RFC9111 §4.2',
    steps: [fetched({ cacheControl: 'max-age=0' }), { read: '', ...revalidated('stale') }],
  },
  {
    id: 'freshness-max-age-age',
    kind: 'required',
    clause: 'RFC9111 §4.2.3',
    dependsOn: ['freshness-max-age'],
    steps: [
      fetched({ cacheControl: 'max-age=10', ageMs: 8_000 }, { age: 8, ttl: 2 }),
      { wait: 2 },
      { read: '', ...revalidated('stale') },
    ],
  },
  {
    id: 'freshness-s-maxage-shared',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.2.10',
    steps: [
      fetched({ cacheControl: 'max-age=1, s-maxage=100' }),
      { wait: 50 },
      hit('', { ttl: 50 }),
    ],
  },
  {
    id: 'freshness-expires',
    kind: 'optimal',
    clause: 'RFC9111 §5.3',
    steps: [
      fetched({ facts: { expires: epochMs(START + 30_000), date: epochMs(START) } }),
      { wait: 29 },
      hit('', { ttl: 1 }),
    ],
  },
  {
    id: 'freshness-expires-invalid',
    kind: 'required',
    clause: 'RFC9111 §5.3',
    steps: [fetched({ facts: { expires: NEVER } }), { read: '', ...revalidated('stale') }],
  },
  {
    id: 'freshness-max-age-over-expires',
    kind: 'required',
    clause: 'RFC9111 §5.3',
    steps: [
      fetched({ cacheControl: 'max-age=1', facts: { expires: epochMs(START + 900_000) } }),
      { wait: 1 },
      { read: '', ...revalidated('stale') },
    ],
  },
  {
    id: 'freshness-apparent-age',
    kind: 'required',
    clause: 'RFC9111 §4.2.3',
    steps: [
      fetched({ cacheControl: 'max-age=60', facts: { date: epochMs(START - 60_000) } }),
      { read: '', ...revalidated('stale') },
    ],
  },
  {
    id: 'freshness-capped',
    kind: 'choice',
    clause: 'DESIGN §5',
    policy: { freshness: { origin: 'cap', max: durationMs(5_000) } },
    steps: [
      fetched({ cacheControl: 'max-age=600' }),
      { wait: 5 },
      { read: '', ...revalidated('stale') },
    ],
  },
  {
    id: 'freshness-ignored',
    kind: 'choice',
    clause: 'DESIGN §5',
    policy: { freshness: { origin: 'ignore', default: durationMs(30_000) } },
    steps: [fetched({ cacheControl: 'max-age=0, no-cache' }), { wait: 29 }, hit('', { ttl: 1 })],
  },
  {
    id: 'request-max-age-met',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.1',
    steps: [fetched({}), { wait: 10 }, hit('max-age=10')],
  },
  {
    id: 'request-max-age-exceeded',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.1',
    dependsOn: ['request-max-age-met'],
    steps: [fetched({}), { wait: 11 }, { read: 'max-age=10', ...revalidated('request') }],
  },
  {
    id: 'request-min-fresh',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.3',
    steps: [
      fetched({}),
      { wait: 30 },
      hit('min-fresh=30'),
      { read: 'min-fresh=31', ...revalidated('request') },
    ],
  },
  {
    id: 'request-max-stale',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.2',
    steps: [
      fetched({}),
      { wait: 70 },
      hit('max-stale=10', { served: 'stale', ttl: -10, detail: 'max-stale' }),
      { read: 'max-stale=9', ...revalidated('stale') },
    ],
  },
  {
    id: 'request-no-cache',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.4',
    steps: [fetched({}), { read: 'no-cache', ...revalidated('request') }],
  },
  {
    id: 'request-no-cache-not-allowed',
    kind: 'choice',
    clause: 'DESIGN §5',
    steps: [
      fetched({}),
      {
        read: 'no-cache, no-store, max-age=0',
        anonymous: true,
        expect: { kind: 'found', hit: true },
      },
    ],
  },
  {
    id: 'request-no-store',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.5',
    steps: [
      { read: 'no-store', origin: { reply: {} }, expect: { kind: 'found', stored: false } },
      fetched({}),
    ],
  },
  {
    id: 'request-only-if-cached-miss',
    kind: 'required',
    clause: 'RFC9111 §5.2.1.7',
    steps: [{ read: 'only-if-cached', expect: { kind: 'refused' } }],
  },
  {
    id: 'request-only-if-cached-hit',
    kind: 'optimal',
    clause: 'RFC9111 §5.2.1.7',
    steps: [fetched({}), hit('only-if-cached')],
  },
  {
    id: 'request-only-if-cached-stale',
    kind: 'required',
    clause: 'RFC9111 §5.2.1.7',
    steps: [fetched({}), { wait: 60 }, { read: 'only-if-cached', expect: { kind: 'refused' } }],
  },
];
