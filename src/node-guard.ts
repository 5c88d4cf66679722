/**
 * Watches over the process as a whole: memory, descriptors, event loops. What it finds is written
 * to shared memory, where every thread reads it at the cost of one load; changes are logged.
 */

import type { Clock } from './base/clock.ts';
import { nextPressure } from './base/pressure.ts';
import type { Config } from './config/config.ts';
import {
  connectionRoom,
  DescriptorWatch,
  descriptorsMax,
  openDescriptors,
} from './node-descriptors.ts';
import { type MemoryUse, memoryUse } from './node-memory.ts';
import { startWatchdog } from './node-watchdog.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import { GuardMemory } from './protocols/http/guard-memory.ts';
import type { TlsCertificates } from './protocols/http/tls-files.ts';
import { startPulse } from './worker-pulse.ts';
import { watchExpiry } from './worker-tls.ts';

export interface NodeGuardParts {
  readonly guard: GuardMemory;
  readonly config: Config;
  readonly log: Log;
  readonly metrics: ArrayMetrics;
  readonly clock: Clock;
  readonly tls: TlsCertificates | undefined;
}

const MEMORY_EVERY_MS = 250;
const DESCRIPTORS_EVERY_MS = 500;
const MAIN_THREAD = 0;

const SHED = [
  'memory suffices again: nothing is refused',
  'memory runs short: queries, fills, uploads and new subscriptions are refused',
  'memory runs very short: writes and new connections are refused too',
  'memory is all but used up: everything is refused',
] as const;

/** The shared memory, which knows already how many connections there is room for. */
export function openGuard({ limits }: Config): GuardMemory {
  const guard = new GuardMemory();
  const room = connectionRoom(limits.descriptorsReserved);
  if (room !== undefined) guard.connectionsMax = room;
  return guard;
}

/** Begins to watch; returns what ends it. */
export function startNodeGuard(parts: NodeGuardParts): () => Promise<void> {
  const { guard, config, tls, clock } = parts;
  const stopExpiry = watchExpiry(tls, { ...parts, nowMs: () => clock.now() });
  const stopPulse = startPulse(guard, MAIN_THREAD);
  const stopMemory = watchMemory(parts);
  const stopDescriptors = watchDescriptors(parts);
  const stopWatchdog = startWatchdog({
    guard,
    stuckMs: config.limits.stuckMsMax,
    name: config.cluster.name,
  });
  return async () => {
    stopExpiry();
    stopPulse();
    stopMemory();
    stopDescriptors();
    await stopWatchdog();
  };
}

function watchMemory({ guard, config, log, metrics }: NodeGuardParts): () => void {
  const max = config.limits.memoryBytesMax;
  let use: MemoryUse = memoryUse(max);
  const look = () => {
    use = memoryUse(max);
    const process = Math.round((use.usedBytes / use.maxBytes) * 1000);
    const level = nextPressure(guard.level, Math.max(process, guard.fullestHeap));
    if (level === guard.level) return;
    guard.level = level;
    const facts = { level, ...use, fullestHeapThousandths: guard.fullestHeap };
    if (level === 0) log.info(facts, SHED[level]);
    else log.warn(facts, SHED[level]);
  };
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge(name, help, 'max', () => [{ labels: {}, value: read() }]);
  gauge('millrace_memory_pressure', 'What is shed: 0 nothing to 3 all', () => guard.level);
  gauge('millrace_memory_used_bytes', 'Memory used, mapped files left out', () => use.usedBytes);
  gauge('millrace_memory_max_bytes', 'Memory that may be used', () => use.maxBytes);
  return every(MEMORY_EVERY_MS, look);
}

function watchDescriptors({ guard, config, log, metrics }: NodeGuardParts): () => void {
  const max = descriptorsMax();
  const own = openDescriptors();
  if (max === undefined || typeof own !== 'number') return () => undefined;
  const watch = new DescriptorWatch(max, own, config.limits);
  let turnedAway = 0;
  metrics.counter(
    'millrace_accept_pauses_total',
    'Times no new connections were taken for want of descriptors',
    () => [{ labels: {}, value: turnedAway }],
  );
  return every(DESCRIPTORS_EVERY_MS, () => {
    const open = openDescriptors();
    if (open === undefined) return;
    const tight = watch.isTight(open);
    if (tight === guard.descriptorsTight) return;
    guard.descriptorsTight = tight;
    if (tight) turnedAway += 1;
    const facts = { open, mark: watch.mark, max };
    if (tight) log.warn(facts, 'descriptors run short: no new connections (ulimit -n is too low)');
    else log.info(facts, 'there are descriptors again: connections are taken');
  });
}

function every(ms: number, look: () => void): () => void {
  const timer = setInterval(look, ms);
  timer.unref();
  return () => clearInterval(timer);
}
