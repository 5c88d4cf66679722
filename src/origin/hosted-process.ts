/**
 * A renderer that this node runs itself (`run:` of an origin): started on a port of loopback,
 * waited for, watched, and started again with growing, jittered pauses for as long as the node
 * runs. A command that never works costs one start every half minute, no more.
 *
 *   starting ─answers─► up ─ends, or does not answer─► down ─pause─► starting
 *
 * The command runs under a keeper, a shell in a process group of its own, whose standard input only
 * this process holds. When the node is gone, however it went, that input ends, and the keeper ends
 * the group: a `kill -9` of the node leaves nothing behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { backoffDelay } from '../base/backoff.ts';
import { type DurationMs, durationMs } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { answersOn } from './hosted-probe.ts';

export interface HostedParts {
  readonly name: string;
  /** Of a shell; `${port}` in it stands for `port`. */
  readonly command: string;
  /** Folder of the application: where it runs, with its `node_modules/.bin` in the path. */
  readonly folder: string;
  readonly port: number;
  /** Where the node itself will be: `MILLRACE_URL` of the command. */
  readonly nodeUrl: string;
  /** Asked while it runs; without it the port is tried at the start only. */
  readonly health?: { readonly path: string; readonly everyMs: DurationMs } | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** A line that the command wrote. */
  readonly line: (from: 'stdout' | 'stderr', text: string) => void;
  readonly moved: (state: HostedState) => void;
}

export type HostedState =
  | { readonly kind: 'starting' | 'up' | 'stopped' }
  | { readonly kind: 'down'; readonly why: string };

const backoff = () => ({ baseMs: 250, maxMs: LIMITS.hostedPauseMsMax });
const POLL = durationMs(100);
const UNANSWERED_MAX = 3;

/** What this node is told in secret is no business of the command. */
const KEEPER = `
for name in $(env | sed -n 's/^\\(MILLRACE_[A-Za-z_]*\\)=.*/\\1/p'); do unset "$name"; done
PATH="$2/node_modules/.bin:$PATH" PORT="$3" MILLRACE_URL="$5"
export PATH PORT MILLRACE_URL
exec 3<&0 </dev/null
trap : TERM
/bin/sh -c "$1" 3<&- &
command=$!
( trap '' TERM; read -r _ <&3; kill -TERM -$$; sleep "$4"; kill -KILL -$$ ) >/dev/null 2>&1 &
guard=$!
exec 3<&-
while :; do
  wait $command; code=$?
  kill -0 $command 2>/dev/null || break
done
kill -KILL $guard
exit $code
`;

export class HostedProcess {
  readonly #parts: HostedParts;
  #state: HostedState = { kind: 'starting' };
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #failures = 0;
  #unanswered = 0;
  #upAt = 0;
  #next: Cancel = () => undefined;
  /** Starts after the first. */
  restarts = 0;

  constructor(parts: HostedParts) {
    this.#parts = parts;
  }

  get state(): HostedState {
    return this.#state;
  }

  /** Resolves when it answers, when it has failed once, or when that takes too long. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(durationMs(LIMITS.hostedReadyMsMax), resolve);
      this.#spawn(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Asks it to end, then makes it. */
  async stop(): Promise<void> {
    this.#move({ kind: 'stopped' });
    this.#next();
    this.#signal('SIGTERM');
    const cancel = this.#parts.clock.after(durationMs(LIMITS.hostedStopMsMax), () =>
      this.#signal('SIGKILL'),
    );
    await this.#ended;
    cancel();
  }

  #spawn(settled: () => void = () => undefined): void {
    const { command, folder, port, nodeUrl } = this.#parts;
    const written = command.replaceAll(/\$\{port\}/g, String(port));
    const grace = String(LIMITS.hostedStopMsMax / 1000);
    const told = [written, folder, String(port), grace, nodeUrl];
    const args = ['-c', KEEPER, 'millrace-keeper', ...told];
    const child = spawn('/bin/sh', args, {
      cwd: folder,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#unanswered = 0;
    this.#move({ kind: 'starting' });
    child.stdin.on('error', () => undefined);
    forwardLines(child.stdout, this.#paced('stdout'));
    forwardLines(child.stderr, this.#paced('stderr'));
    this.#ended = new Promise((resolve) => {
      const end = (why: string) => {
        // What the command started and left behind.
        this.#signal('SIGKILL');
        this.#child = undefined;
        resolve();
        settled();
        this.#fallen(why);
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => end(`it ended with ${signal ?? `code ${code}`}`));
    });
    this.#watch(child, this.#parts.clock.monotonic(), settled);
  }

  /** So many lines a second; how many more there were is said in their place. */
  #paced(from: 'stdout' | 'stderr'): (text: string) => void {
    const { clock, line } = this.#parts;
    let since = clock.monotonic();
    let lines = 0;
    return (text) => {
      const now = clock.monotonic();
      if (now - since >= 1_000) {
        const dropped = lines - LIMITS.hostedLinesPerSecondMax;
        if (dropped > 0) line(from, `(${dropped} lines more, not logged)`);
        since = now;
        lines = 0;
      }
      lines += 1;
      if (lines <= LIMITS.hostedLinesPerSecondMax) line(from, text);
    };
  }

  /** Asks until it answers, and from then on, with a health path, whether it still does. */
  #watch(child: ChildProcess, since: number, settled: () => void): void {
    const { clock, port, health } = this.#parts;
    const isUp = this.#state.kind === 'up';
    if (isUp && health === undefined) return;
    const pause = isUp && health !== undefined ? health.everyMs : POLL;
    this.#next = clock.after(pause, async () => {
      const answers = await answersOn(port, health?.path);
      if (this.#child !== child || this.#state.kind === 'stopped') return;
      if (answers) this.#answered(settled);
      else if (this.#isLost(isUp, since)) return this.#signal('SIGKILL');
      this.#watch(child, since, settled);
    });
  }

  #answered(settled: () => void): void {
    this.#unanswered = 0;
    if (this.#state.kind === 'up') return;
    this.#upAt = this.#parts.clock.monotonic();
    this.#move({ kind: 'up' });
    settled();
  }

  #isLost(wasUp: boolean, since: number): boolean {
    this.#unanswered += 1;
    if (wasUp) return this.#unanswered >= UNANSWERED_MAX;
    return this.#parts.clock.monotonic() - since > LIMITS.hostedReadyMsMax;
  }

  #fallen(why: string): void {
    if (this.#state.kind === 'stopped') return;
    const { clock, random } = this.#parts;
    const wasWell =
      this.#state.kind === 'up' && clock.monotonic() - this.#upAt > LIMITS.hostedPauseMsMax;
    this.#failures = wasWell ? 1 : this.#failures + 1;
    this.#move({ kind: 'down', why });
    this.#next();
    this.#next = clock.after(backoffDelay(this.#failures, backoff(), random), () => {
      this.restarts += 1;
      this.#spawn();
    });
  }

  /** To the keeper and all that it started. */
  #signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The whole group has ended.
    }
  }

  #move(state: HostedState): void {
    this.#state = state;
    this.#parts.moved(state);
  }
}

/** Whole lines of a stream; one that is too long comes in pieces. */
function forwardLines(stream: Readable, forward: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let held = '';
  const say = (line: string) => {
    if (line.trim() !== '') forward(line.replace(/\r$/, ''));
  };
  stream.on('data', (chunk: Buffer) => {
    const lines = (held + decoder.write(chunk)).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) say(line);
    if (held.length < LIMITS.hostedLineCharsMax) return;
    say(held);
    held = '';
  });
  stream.once('end', () => say(held));
}
