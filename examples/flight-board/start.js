/**
 * `npm start`: the whole example in one command. Starts the airline (origin/main.js) and a node on
 * this folder, tells the node where the airline is, shows what both have to say, and prints one
 * block with the address to open. Stops both on Ctrl+C or SIGTERM; brings the airline back when it
 * dies, on the port it had, because that is where the node looks for it.
 *
 *   npm start -- --http-port 8080        every argument is handed to `millrace dev`
 */
import { fork, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const RESTART_AFTER_MS = 500;
const STOP_WITHIN_MS = 10_000;

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined;
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

/** Given to every airline, so that one which comes back flies on where the other was. */
const startedAt = String(Date.now());
let stopping = false;
let origin;
let node;
let welcomed = false;

if (!existsSync(command)) {
  console.error('The node is not built yet: run `npm run build` first, or use `npm start`.');
  process.exit(1);
}
process.on('SIGINT', () => stop(0));
process.on('SIGTERM', () => stop(0));
startOrigin(process.env.ORIGIN_PORT ?? '0');

function startOrigin(port) {
  origin = fork(`${here}origin/main.js`, {
    env: { ...process.env, PORT: port, STARTED_AT: startedAt },
    silent: true,
  });
  let address;
  eachLine(origin.stdout, (line) => {
    address = /^origin ready (\S+)$/.exec(line)?.[1] ?? address;
    if (address !== undefined && node === undefined) startNode(address);
    say(33, 'airline', line);
  });
  eachLine(origin.stderr, (line) => say(31, 'airline', line));
  origin.on('exit', (code, signal) => {
    if (stopping) return;
    say(31, 'airline', `ended (${signal ?? code}); the node goes on with what it holds.`);
    const next = address === undefined ? port : new URL(address).port;
    setTimeout(() => stopping || startOrigin(next), RESTART_AFTER_MS);
  });
}

function startNode(address) {
  const args = [command, 'dev', here, ...process.argv.slice(2)];
  node = spawn(process.execPath, args, {
    env: { ...process.env, FLIGHT_ORIGIN: address, ...(colour && { FORCE_COLOR: '1' }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  eachLine(node.stdout, (line) => {
    const ready = readyLine(line);
    if (ready === undefined) say(36, 'node', line);
    else if (!welcomed) welcome(ready, address);
  });
  const complaints = [];
  eachLine(node.stderr, (line) => {
    complaints.push(line);
    complaints.splice(0, complaints.length - 50);
    say(36, 'node', line);
  });
  node.on('exit', (code, signal) => {
    if (stopping) return;
    explain(complaints.join('\n'), signal ?? code);
    stop(code || 1);
  });
}

/** The node prints one JSON line when it answers: where it is. */
function readyLine(line) {
  if (!line.startsWith('{')) return undefined;
  try {
    const facts = JSON.parse(line);
    return facts.msg === 'ready' ? facts : undefined;
  } catch {
    return undefined;
  }
}

function welcome({ http, admin }, airline) {
  welcomed = true;
  const strong = (text) => paint('1;33', text);
  console.log(`
  The flight board is up. Open  ${strong(`${http}/`)}

  Try, in another terminal:
    curl -i  ${http}/Airport/SFO        a cached airport: see Cache-Status and Age, twice
    curl -N -H 'accept: text/event-stream'  ${http}/Flight/        the changes as they come
    curl  ${admin}/metrics        what the node counts

  The airline behind it, 150 ms slow: ${airline}/airports/SFO (process ${origin.pid}).
  Kill it and see what the node does without; it comes back. Ctrl+C stops both.
`);
}

/** What a newcomer can do about the two usual reasons why the node does not start. */
function explain(complaints, how) {
  console.error(`\n  The node ended (${how}).`);
  if (/data is in use/.test(complaints)) {
    console.error(
      '  A flight board is running already: stop that one, or give this one --data DIR.',
    );
  } else if (/is taken by another process|EADDRINUSE/.test(complaints)) {
    console.error(`
  Another program listens on its port. Choose another, or let the system choose:
    npm start -- --http-port 8080 --admin-port 8081
    npm start -- --http-port 0 --admin-port 0`);
  }
}

function eachLine(stream, fn) {
  createInterface({ input: stream }).on('line', fn);
}

function say(code, who, line) {
  if (line !== '') console.log(`${paint(code, who.padEnd(8))}${line}`);
}

function stop(code) {
  if (stopping) return;
  stopping = true;
  const running = [node, origin].filter((child) => child && child.exitCode === null);
  let left = running.length;
  if (left === 0) process.exit(code);
  for (const child of running) {
    child.once('exit', () => {
      left -= 1;
      if (left === 0) process.exit(code);
    });
    child.kill('SIGTERM');
  }
  setTimeout(() => {
    for (const child of running) child.kill('SIGKILL');
    process.exit(code || 1);
  }, STOP_WITHIN_MS).unref();
}
