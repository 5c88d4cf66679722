/**
 * The comparison itself: every server gets the same load in turn, again and again, so that a
 * machine which grows slower or faster meanwhile does so for all. Ratios are taken within a round.
 */
import { cpuMicros, residentBytes } from './cpu.ts';
import type { Server } from './server.ts';
import { type Load, type LoadResult, runWrk } from './wrk.ts';

export interface Sample extends LoadResult {
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  /** Share of one core that the server used. */
  readonly busy: number;
}

export interface Measured {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly residentMegabytes: number;
}

export interface Contender {
  readonly server: Server;
  readonly load: Omit<Load, 'url' | 'seconds'> & { readonly path?: string | undefined };
}

async function sample(contender: Contender, seconds: number): Promise<Sample> {
  const { server, load } = contender;
  const before = cpuMicros(server.pid);
  const result = await runWrk({ ...load, url: server.url + (load.path ?? '/'), seconds });
  const cpu = cpuMicros(server.pid) - before;
  return {
    ...result,
    cpuMicrosPerRequest: cpu / result.requests,
    requestsPerSecond: result.requests / result.seconds,
    busy: cpu / 1_000_000 / result.seconds,
  };
}

export interface CompareOptions {
  readonly repeats: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** One sample of each contender a round, after a warm-up; the order turns with every round. */
export async function compare(
  contenders: readonly Contender[],
  options: CompareOptions,
): Promise<readonly Measured[]> {
  const samples = new Map<Contender, Sample[]>(contenders.map((one) => [one, []]));
  for (const one of contenders) await sample(one, options.warmUpSeconds);
  for (let round = 0; round < options.repeats; round += 1) {
    const turn = round % contenders.length;
    const order = [...contenders.slice(turn), ...contenders.slice(0, turn)];
    for (const one of order) samples.get(one)?.push(await sample(one, options.seconds));
  }
  return contenders.map((one) => ({
    name: one.server.name,
    samples: samples.get(one) ?? [],
    residentMegabytes: residentBytes(one.server.pid) / 1e6,
  }));
}

/** In each round, how many requests `ours` serves for the CPU with which `peer` serves one. */
export function ratios(ours: Measured, peer: Measured): readonly number[] {
  return ours.samples.map(
    (one, round) =>
      (peer.samples[round]?.cpuMicrosPerRequest ?? Number.NaN) / one.cpuMicrosPerRequest,
  );
}
