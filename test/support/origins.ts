/** Opens origins for tests: patient settings, system clock, requests in the read path's words. */
import { durationMs } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { asNodeError, type NodeError } from '../../src/base/errors.ts';
import type { OriginReply, OriginRequest } from '../../src/cache/ports.ts';
import { ORIGIN_DEFAULTS, type OriginSettings } from '../../src/config/origin-file.ts';
import { openOrigin } from '../../src/origin/open-origin.ts';
import type { OriginRuntime } from '../../src/origin/runtime.ts';

export const testSettings = (over: Partial<OriginSettings>): OriginSettings => ({
  ...ORIGIN_DEFAULTS,
  name: 'test',
  kind: 'http',
  headers: {},
  timeoutMs: durationMs(20_000),
  retries: 0,
  allowPrivate: true,
  options: {},
  place: { file: 'test.yaml', line: 1, column: 1 },
  ...over,
});

/** For an origin that is to be given up: nothing else ends within it on a busy machine. */
export const IMPATIENT = { timeoutMs: durationMs(400) } as const;

export const openTestOrigin = (over: Partial<OriginSettings>): Promise<OriginRuntime> =>
  openOrigin(testSettings(over), { clock: systemClock, random: Math.random });

export const ask = (id: string, over: Partial<OriginRequest> = {}): OriginRequest => ({
  id,
  replacing: undefined,
  conditional: true,
  background: false,
  signal: new AbortController().signal,
  ...over,
});

export const binding = { table: 'Flight', primaryKey: 'id', path: '/flights/{id}' };

/** The record in a reply. */
export function recordOf(reply: OriginReply): unknown {
  if (reply.kind !== 'found') throw new Error(`expected a record, got ${reply.kind}`);
  return JSON.parse(new TextDecoder().decode(reply.body));
}

/** The error a promise rejects with; fails when it resolves. */
export async function failureOf(promise: Promise<unknown>): Promise<NodeError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return asNodeError(outcome.error);
  throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`);
}
