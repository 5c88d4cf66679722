/**
 * The whole example in one command: the league (origin/main.js), and a node on this folder that is
 * told where the league is. Stops both on Ctrl+C or SIGTERM; brings the league back when it dies.
 *
 *   npm start -- --http-port 8080        every argument is handed to `millrace dev`
 */
import { fork, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
if (!existsSync(command)) {
  console.error('The node is not built yet: run `npm ci && npm run build` in the repository.');
  process.exit(1);
}

let league;
let node;
let stopping = false;
process.on('SIGINT', () => stop(0));
process.on('SIGTERM', () => stop(0));
startLeague('0');

function startLeague(port) {
  league = fork(`${here}origin/main.js`, { env: { ...process.env, PORT: port }, silent: true });
  let address;
  eachLine(league.stdout, (line) => {
    address = /^origin ready (\S+)$/.exec(line)?.[1] ?? address;
    if (address !== undefined) node ??= startNode(address);
    console.log(`league  ${line}`);
  });
  eachLine(league.stderr, (line) => console.error(`league  ${line}`));
  league.on('exit', () => {
    // On the port it had, because that is where the node looks for it.
    if (!stopping) setTimeout(() => startLeague(new URL(address ?? 'http://x:0').port), 500);
  });
}

function startNode(address) {
  const args = [command, 'dev', here, ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, LEAGUE_ORIGIN: address },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  eachLine(child.stdout, (line) => {
    const ready = /^\{.*"msg":"ready"/.test(line) ? JSON.parse(line) : undefined;
    if (ready === undefined) console.log(`node    ${line}`);
    else welcome(ready.http);
  });
  eachLine(child.stderr, (line) => console.error(`node    ${line}`));
  child.on('exit', (code) => stop(code ?? 1));
  return child;
}

function welcome(http) {
  console.log(`
  The scoreboard is up. Open  ${http}/

  Two thousand more viewers, in another terminal:
    node examples/score-feed/viewers.js ${http}
  What they see, as it happens:
    node dist/main.js tail Match/ --url ${http}
`);
}

function eachLine(stream, fn) {
  createInterface({ input: stream }).on('line', fn);
}

function stop(code) {
  if (stopping) return;
  stopping = true;
  const running = [node, league].filter((child) => child && child.exitCode === null);
  let left = running.length;
  if (left === 0) process.exit(code);
  for (const child of running) {
    child.once('exit', () => {
      left -= 1;
      if (left === 0) process.exit(code);
    });
    child.kill('SIGTERM');
  }
  setTimeout(() => process.exit(code || 1), 10_000).unref();
}
