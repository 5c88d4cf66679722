/** Storing, validating, serving stale and invalidating. */
import { durationMs } from '../../../src/base/brands.ts';
import { type ConformanceCase, fetched, hit, type Step } from './case.ts';

const anew = (fwd: string): Step => ({
  read: '',
  origin: { reply: {} },
  expect: { kind: 'found', served: 'fetched', fwd },
});
const down = (expected: { kind: 'found' | 'failed'; detail: string }, read = ''): Step => ({
  read,
  origin: { fail: 'ORIGIN_UNREACHABLE' },
  expect: expected,
});
const SAVED = { kind: 'found', detail: 'stale-if-error' } as const;
const LOST = { kind: 'failed', detail: 'ORIGIN_UNREACHABLE' } as const;
const NO_STALE = { whileRevalidate: durationMs(0), ifError: durationMs(0) };

export const REUSE_CASES: readonly ConformanceCase[] = [
  {
    id: 'store-no-store',
    kind: 'required',
    clause: 'RFC9111 §5.2.2.5',
    steps: [fetched({ cacheControl: 'no-store' }, { stored: false }), anew('miss')],
  },
  {
    id: 'store-private',
    kind: 'required',
    clause: 'RFC9111 §5.2.2.7',
    steps: [fetched({ cacheControl: 'private, max-age=60' }, { stored: false }), anew('miss')],
  },
  {
    id: 'store-vary-any',
    kind: 'required',
    clause: 'RFC9111 §4.1',
    steps: [fetched({ facts: { vary: ['*'] } }, { stored: false }), anew('miss')],
  },
  {
    id: 'store-no-cache',
    kind: 'required',
    clause: 'RFC9111 §5.2.2.4',
    steps: [
      fetched({ cacheControl: 'no-cache, max-age=60', etag: '"x"', body: '1' }, { stored: true }),
      {
        read: '',
        origin: { notModified: { cacheControl: 'no-cache, max-age=60' } },
        expect: {
          kind: 'found',
          served: 'validated',
          body: '1',
          fwd: 'request',
          conditional: true,
        },
      },
    ],
  },
  {
    id: 'store-302-needs-a-lifetime',
    kind: 'required',
    clause: 'RFC9111 §3',
    steps: [fetched({ status: 302 }, { stored: false }), fetched({ status: 302 })],
  },
  {
    id: 'store-404',
    kind: 'optimal',
    clause: 'RFC9110 §15.1',
    steps: [
      { read: '', origin: { reply: { status: 404 } }, expect: { kind: 'absent', stored: true } },
      { wait: 9 },
      { read: '', expect: { kind: 'absent', hit: true, ttl: 1 } },
    ],
  },
  {
    id: 'store-404-explicit',
    kind: 'optimal',
    clause: 'RFC9111 §4.2.1',
    steps: [
      {
        read: '',
        origin: { reply: { status: 404, cacheControl: 'max-age=100' } },
        expect: { kind: 'absent', stored: true },
      },
      { wait: 99 },
      { read: '', expect: { kind: 'absent', hit: true, ttl: 1 } },
    ],
  },
  {
    id: 'validate-304',
    kind: 'required',
    clause: 'RFC9111 §4.3.4',
    steps: [
      fetched({ etag: '"x"', body: '1', cacheControl: 'max-age=10' }),
      { wait: 10 },
      {
        read: '',
        origin: { notModified: { cacheControl: 'max-age=20' } },
        expect: {
          kind: 'found',
          served: 'validated',
          body: '1',
          age: 0,
          ttl: 20,
          conditional: true,
        },
      },
      { wait: 19 },
      hit('', { body: '1', age: 19 }),
    ],
  },
  {
    id: 'validate-200',
    kind: 'required',
    clause: 'RFC9111 §4.3.3',
    steps: [
      fetched({ etag: '"x"', body: '1' }),
      { wait: 60 },
      { read: '', origin: { reply: { body: '2' } }, expect: { kind: 'found', body: '2' } },
      hit('', { body: '2' }),
    ],
  },
  {
    id: 'validate-404-replaces',
    kind: 'required',
    clause: 'RFC9111 §4.3.3',
    steps: [
      fetched({ body: '1' }),
      { wait: 60 },
      { read: '', origin: { reply: { status: 404 } }, expect: { kind: 'absent' } },
      { read: '', expect: { kind: 'absent', hit: true } },
    ],
  },
  {
    id: 'validate-5xx-does-not-replace',
    kind: 'optimal',
    clause: 'RFC9111 §4.3.3',
    steps: [
      fetched({ body: '1' }),
      { wait: 60 },
      {
        read: '',
        origin: { fail: 'ORIGIN_STATUS', status: 503 },
        expect: { kind: 'found', body: '1', detail: 'stale-if-error' },
      },
    ],
  },
  {
    id: 'stale-while-revalidate',
    kind: 'optimal',
    clause: 'RFC5861 §3',
    steps: [
      fetched({ cacheControl: 'max-age=1, stale-while-revalidate=10', body: '1' }),
      { wait: 10 },
      {
        read: '',
        origin: { reply: { body: '2' } },
        expect: { kind: 'found', body: '1', hit: true, detail: 'stale-while-revalidate' },
      },
      hit('', { body: '2' }),
    ],
  },
  {
    id: 'stale-while-revalidate-over',
    kind: 'required',
    clause: 'RFC5861 §3',
    dependsOn: ['stale-while-revalidate'],
    steps: [
      fetched({ cacheControl: 'max-age=1, stale-while-revalidate=10' }),
      { wait: 11 },
      anew('stale'),
    ],
  },
  {
    id: 'stale-if-error',
    kind: 'optimal',
    clause: 'RFC5861 §4',
    policy: { stale: NO_STALE },
    steps: [
      fetched({ cacheControl: 'max-age=1, stale-if-error=10' }),
      { wait: 9 },
      down(SAVED),
      { wait: 2 },
      down(LOST),
    ],
  },
  {
    id: 'stale-if-error-request',
    kind: 'optimal',
    clause: 'RFC5861 §4',
    policy: { stale: NO_STALE },
    steps: [
      fetched({ cacheControl: 'max-age=1' }),
      { wait: 5 },
      down(SAVED, 'stale-if-error=4'),
      { wait: 1 },
      down(LOST, 'stale-if-error=4'),
    ],
  },
  ...['must-revalidate', 'proxy-revalidate', 's-maxage=1', 'no-cache'].map(
    (directive): ConformanceCase => ({
      id: `stale-forbidden-${directive}`,
      kind: 'required',
      clause: 'RFC9111 §4.2.4',
      steps: [
        fetched({ cacheControl: `max-age=1, ${directive}` }),
        { wait: 2 },
        down(LOST, 'max-stale'),
      ],
    }),
  ),
  {
    id: 'stale-permitted-beside-s-maxage',
    kind: 'choice',
    clause: 'RFC9111 §5.2.2.10',
    steps: [fetched({ cacheControl: 's-maxage=1, stale-if-error=60' }), { wait: 2 }, down(SAVED)],
  },
  {
    id: 'invalidate-hard',
    kind: 'required',
    clause: 'RFC9111 §4.4',
    steps: [
      fetched({ etag: '"x"' }),
      { invalidate: 'hard' },
      down(LOST),
      { wait: 1 },
      anew('miss'),
    ],
  },
  {
    id: 'invalidate-soft',
    kind: 'required',
    clause: 'RFC9111 §4.4',
    steps: [
      fetched({ etag: '"x"' }),
      { invalidate: 'soft' },
      down(SAVED),
      { wait: 1 },
      anew('stale'),
    ],
  },
  {
    id: 'failure-shared-for-its-window',
    kind: 'choice',
    clause: 'DESIGN §5',
    steps: [down(LOST), { read: '', expect: LOST }, { wait: 1 }, anew('uri-miss')],
  },
];
