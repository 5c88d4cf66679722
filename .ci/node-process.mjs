// Starts a command that ends in a running node, waits for its ready line, and ends it. Shared by
// the steps of `.ci/run`; nothing here knows which command it is.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** The ready line's facts, as soon as it is there. */
function readyLine(output) {
  const line = /^\{.*"msg":"ready".*\}$/m.exec(output)?.[0];
  return line === undefined ? undefined : JSON.parse(line);
}

/** Resolves when `condition` gives a value; fails loudly after `seconds`. */
export async function until(what, seconds, condition) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Starts `command` in a process group of its own and waits until `options.ready`, by default the
 * node's own line, finds addresses in what it wrote. Gives these, the output, and how to stop it.
 */
export async function startNode(command, args, options = {}) {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const node = { child, output: '', ready: undefined };
  const keep = (chunk) => {
    node.output += chunk;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = once(child, 'exit');
  node.stop = async (signal = 'SIGTERM', seconds = 15, pid = child.pid) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, signal);
    const late = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), seconds * 1000);
    const [code, by] = await ended;
    clearTimeout(late);
    return by === null ? code : by;
  };
  node.kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The whole group has ended already.
    }
  };
  try {
    node.ready = await until('ready', options.seconds ?? 120, () => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before ready`);
      return (options.ready ?? readyLine)(node.output);
    });
  } catch (error) {
    node.kill();
    throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${node.output.slice(-4000)}`);
  }
  return node;
}

let passed = 0;
let failed = 0;

/** Runs one check and prints `ok name` or `FAIL name` with the reason. */
export async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok   ${name}`);
    return true;
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n     ${String(error?.stack ?? error).replaceAll('\n', '\n     ')}`);
    return false;
  }
}

/** Prints the tally that `.ci/run` adds up, and ends the process accordingly. */
export function finish() {
  console.log(`tally ${passed} ${failed}`);
  process.exit(failed === 0 ? 0 : 1);
}
