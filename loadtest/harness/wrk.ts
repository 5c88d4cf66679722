/**
 * Runs `wrk` on the generator's core with a small Lua program that makes the requests, and reads
 * its figures from a line which that program prints. wrk keeps its connections and waits for each
 * answer before the next request on it; it reports the latency of what it sent (coordinated
 * omission included), so latencies here compare servers under the same load and no more.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GENERATOR_CORE, pinned } from './cores.ts';

export interface Load {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  /** Lua: the body of `request = function() … end`; `n` counts from 0, `r` is a random number. */
  readonly request: string;
  /** Lua statements run once, before. */
  readonly setup?: string | undefined;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers with a status of 400 and above, and failed connections, reads and time-outs. */
  readonly errors: number;
}

const program = (load: Load) => `
local n = -1
local random = math.random
math.randomseed(os.time())
${load.setup ?? ''}
request = function()
  n = n + 1
  ${load.request}
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

function collect(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', reject);
    child.once('exit', () => resolve(output));
  });
}

export async function runWrk(load: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-wrk-'));
  try {
    const script = join(folder, 'requests.lua');
    writeFileSync(script, program(load));
    const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '10s'];
    const output = await collect(
      ...pinned(GENERATOR_CORE, 'wrk', [...args, '-s', script, load.url]),
    );
    const figures = /FIGURES (.*)/.exec(output)?.[1]?.split(' ').map(Number);
    if (figures === undefined) throw new Error(`wrk ${load.url}: ${output}`);
    const [requests = 0, micros = 0, bytes = 0, p50 = 0, p99 = 0, errors = 0] = figures;
    const seconds = micros / 1_000_000;
    return { requests, seconds, bytes, p50Ms: p50 / 1000, p99Ms: p99 / 1000, errors };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
