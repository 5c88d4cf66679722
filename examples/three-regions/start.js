/**
 * node examples/three-regions/start.js: three nodes on this machine, a sea between them whose
 * delays and cables the page steers, and that page. Stops all of it on Ctrl+C.
 *
 * The page talks to this process, which hands requests on to the node of a region, as in
 * /amsterdam/Note/.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Network } from './network.js';

const REGIONS = ['amsterdam', 'singapore', 'virginia'];
/** One way, milliseconds; about what the cables take. */
const DELAYS = [
  ['amsterdam', 'singapore', 80],
  ['amsterdam', 'virginia', 40],
  ['singapore', 'virginia', 110],
];
const PORT = Number(process.env.PORT ?? 9950);

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
if (!existsSync(command)) {
  console.error('The node is not built yet: run `npm run build` first.');
  process.exit(1);
}
const data = mkdtempSync(path.join(tmpdir(), 'three-regions-'));
const network = new Network();
const links = new Map();
for (const [one, other, delayMs] of DELAYS) steer({ one, other, delayMs, isCut: false });
/** Region → { process, http }. */
const nodes = new Map();

process.on('SIGINT', stop);
process.on('SIGTERM', stop);
const ports = new Map();
for (const region of REGIONS) ports.set(region, await network.listen(region));
for (const region of REGIONS) nodes.set(region, await startNode(region));
createServer(serve).listen(PORT, '127.0.0.1', function () {
  console.log(`\nThree regions, one board: http://127.0.0.1:${this.address().port}\n`);
});

function startNode(region) {
  const sea = (name) => `ws://127.0.0.1:${ports.get(name)}`;
  const flags = {
    data: path.join(data, region),
    'node-name': region,
    'cluster-token': 'only on this machine',
    peer: sea(REGIONS.find((other) => other !== region)),
    ...{ 'http-port': 0, 'admin-port': 0, 'mqtt-port': 0, 'replication-port': 0 },
    'log-level': 'error',
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [command, 'start', here, ...args], {
    env: {
      ...process.env,
      MILLRACE_CLUSTER_URL: sea(region),
      // Nobody signs in here; without an administrator each node would print a link to make one.
      ...{ MILLRACE_ADMIN_USERNAME: 'admin', MILLRACE_ADMIN_PASSWORD: randomUUID() },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.once('exit', (code) => {
    console.error(`the node of ${region} ended (${code})`);
    stop();
  });
  return new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes('"ready"')) return;
      const { http, replication } = JSON.parse(line);
      network.attach(region, Number(new URL(replication).port));
      console.log(`${region.padEnd(10)} ${http}`);
      resolve({ process: child, http });
    });
  });
}

function steer(link) {
  links.set(`${link.one} ${link.other}`, { ...links.get(`${link.one} ${link.other}`), ...link });
  network.set(link.one, link.other, link);
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

function serve(incoming, answer) {
  const [, first = '', ...rest] = incoming.url.split('/');
  const node = nodes.get(first);
  if (node !== undefined) {
    pass(incoming, answer, new URL(`/${rest.join('/')}`, node.http));
    return;
  }
  if (incoming.url === '/links') {
    serveLinks(incoming, answer);
    return;
  }
  const name = incoming.url === '/' ? 'index.html' : path.basename(incoming.url);
  const file = path.join(here, 'page', name);
  if (!existsSync(file)) answer.writeHead(404).end();
  else answer.writeHead(200, { 'content-type': TYPES[path.extname(file)] }).end(readFileSync(file));
}

/** GET: what the cables are like. POST: one of them, as it is to be. */
function serveLinks(incoming, answer) {
  if (incoming.method !== 'POST') {
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ regions: REGIONS, links: [...links.values()] }));
    return;
  }
  let text = '';
  incoming.on('data', (chunk) => {
    text += chunk;
  });
  incoming.on('end', () => {
    try {
      const { one, other, delayMs, isCut } = JSON.parse(text);
      if (!links.has(`${one} ${other}`)) throw new Error('no such cable');
      steer({ one, other, delayMs: Math.min(2_000, Number(delayMs)), isCut: isCut === true });
      answer.writeHead(204).end();
    } catch {
      answer.writeHead(400).end();
    }
  });
}

function pass(incoming, answer, target) {
  const { host: _host, connection: _connection, ...headers } = incoming.headers;
  const asked = request(target, { method: incoming.method, headers }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers);
    reply.pipe(answer);
  });
  asked.on('error', () => answer.destroy());
  answer.on('close', () => asked.destroy());
  incoming.pipe(asked);
}

let isStopping = false;
function stop() {
  if (isStopping) return;
  isStopping = true;
  const running = [...nodes.values()].map(({ process: child }) => child);
  const ended = running.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of running) child.kill('SIGTERM');
  setTimeout(() => process.exit(1), 10_000).unref();
  Promise.all(ended).then(() => {
    rmSync(data, { recursive: true, force: true });
    process.exit(0);
  });
}
