/**
 * `start --supervise`: a parent that restarts the node when it crashes, within a second at first
 * and later each time it crashes soon again. A clean end, or an invalid application, ends it too.
 */
import { backoffDelay } from '../base/backoff.ts';
import { NodeChild } from './child.ts';
import { EXIT, type Terminal } from './terminal.ts';

const RESTART = { baseMs: 200, maxMs: 30_000 };
/** A node that lived this long is not in a crash loop. */
const STEADY_MS = 60_000;

export function supervise(
  entry: string,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  return new Promise((resolve) => {
    let crashes = 0;
    let stopping = false;
    let child: NodeChild;
    let restart: NodeJS.Timeout | undefined;
    const launch = () => {
      restart = undefined;
      const startedAt = performance.now();
      child = new NodeChild(entry, args, {
        ready: () => undefined,
        ended(code) {
          if (stopping || code === EXIT.clean || code === EXIT.usage) return resolve(code ?? 0);
          crashes = performance.now() - startedAt > STEADY_MS ? 1 : crashes + 1;
          const wait = backoffDelay(crashes, RESTART, Math.random);
          terminal.err(
            `the node ended with ${code ?? 'a signal'}; starting it again in ${wait} ms`,
          );
          restart = setTimeout(launch, wait);
        },
      });
    };
    const stop = () => {
      stopping = true;
      if (restart === undefined) {
        void child.stop();
        return;
      }
      // Between two children there is nothing to stop.
      clearTimeout(restart);
      resolve(EXIT.clean);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    launch();
  });
}
