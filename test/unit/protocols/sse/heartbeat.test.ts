/**
 * Signs of life on silent streams, by a clock that moves when told.
 */
import { expect, it } from 'vitest';
import { durationMs } from '../../../../src/base/brands.ts';
import { Fanout } from '../../../../src/feed/fanout.ts';
import { createResolve } from '../../../../src/feed/resolve.ts';
import type { BodyWriter, Exchange } from '../../../../src/protocols/http/port.ts';
import { SseEndpoint } from '../../../../src/protocols/sse/endpoint.ts';
import { recordScope } from '../../../../src/table/query/scope.ts';
import { FakeChangeSource } from '../../../support/fake-change-source.ts';
import { FLIGHT, flightTable } from '../../../support/feed-bench.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

function opened() {
  const clock = new ManualClock();
  const source = new FakeChangeSource();
  const fanout = new Fanout({ source, clock });
  fanout.start();
  const resolve = createResolve({ scopes: [recordScope(flightTable)], viewOf: () => 'whole' });
  const chunks: string[] = [];
  const order: string[] = [];
  const writer = {
    write: (chunk: Uint8Array) => chunks.push(Buffer.from(chunk).toString()) > 0,
    drained: () => Promise.resolve(),
    end: () => chunks.push('END'),
    aborted: false,
  } as unknown as BodyWriter;
  let abort = () => {};
  const exchange = {
    request: { path: '/Flight/AA1', query: '', method: 'GET', header: () => undefined },
    onAborted: (fn: () => void) => {
      abort = fn;
    },
    stream: () => {
      order.push(`headers with ${fanout.subscriptionCount} registered`);
      return writer;
    },
  } as unknown as Exchange;
  const sse = new SseEndpoint({ fanout, clock, resolve });
  sse.serve(exchange, undefined);
  return { clock, source, sse, chunks, order, abort: () => abort() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('registers the cursor before the headers are sent', () => {
  expect(opened().order).toEqual(['headers with 1 registered']);
});

it('sends a comment every 15 s on a stream which was silent, and only then', async () => {
  const { clock, source, chunks } = opened();
  await turn();
  const begun = chunks.length;
  clock.advance(durationMs(15_000));
  await turn();
  expect(chunks.slice(begun)).toEqual([]);
  clock.advance(durationMs(15_000));
  await turn();
  expect(chunks.slice(begun)).toEqual([':\n\n']);
  source.put(FLIGHT, 'AA1', { v: 1 });
  await turn();
  await turn();
  const told = chunks.length;
  clock.advance(durationMs(15_000));
  await turn();
  expect(chunks).toHaveLength(told);
});

it('keeps no timer when the last stream is gone', async () => {
  const { clock, abort, sse } = opened();
  abort();
  expect(sse.connectionCount).toBe(0);
  clock.advance(durationMs(15_000));
  expect(clock.timers).toBe(0);
});
