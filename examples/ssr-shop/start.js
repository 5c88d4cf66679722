/**
 * The whole example in one command: `node examples/ssr-shop/start.js` from a clone that was built.
 * Installs and builds what is missing, starts the warehouse (origin/main.js) and a node on this
 * folder, which starts Next.js, and prints the address to open. Stops all of it on Ctrl+C or
 * SIGTERM.
 *
 *   node start.js --http-port 8080       every argument is handed to `millrace start`
 */
import { fork, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, symlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const STOP_WITHIN_MS = 15_000;

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const environment = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
const children = new Set();
let stopping = false;

process.on('SIGINT', () => stop(0));
process.on('SIGTERM', () => stop(0));

if (!existsSync(command)) {
  console.error(
    'The node is not built yet: run `npm ci && npm run build` in the repository first.',
  );
  process.exit(1);
}
prepare();
startWarehouse();

/** Each step once: what is there is left as it is (`rm -r .next` has the pages built anew). */
function prepare() {
  if (!existsSync(`${here}node_modules/next`)) run('npm', ['ci', '--no-audit', '--no-fund']);
  // In a project of your own: `npm install millrace`.
  if (!existsSync(`${here}node_modules/millrace`)) {
    symlinkSync('../../..', `${here}node_modules/millrace`, 'dir');
  }
  if (!existsSync(`${here}.next/BUILD_ID`)) run('npx', ['--no-install', 'next', 'build']);
}

function run(name, args) {
  console.log(`  ${name} ${args.join(' ')}`);
  const { status } = spawnSync(name, args, { cwd: here, env: environment, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`  \`${name} ${args.join(' ')}\` failed in ${here}; see above.`);
    process.exit(1);
  }
}

function startWarehouse() {
  const warehouse = fork(`${here}origin/main.js`, {
    env: { ...process.env, PORT: process.env.ORIGIN_PORT ?? '0' },
    silent: true,
  });
  watch(warehouse, 'warehouse', (line) => {
    const address = /^origin ready (\S+)$/.exec(line)?.[1];
    if (address !== undefined) startNode(address, warehouse.pid);
  });
}

function startNode(warehouse, pid) {
  const password = randomBytes(18).toString('base64url');
  const node = spawn(process.execPath, [command, 'start', here, ...process.argv.slice(2)], {
    env: {
      ...environment,
      WAREHOUSE_URL: warehouse,
      MILLRACE_ADMIN_USERNAME: 'shop',
      MILLRACE_ADMIN_PASSWORD: password,
      // The renderer's own credentials for the tables NextCache and NextTag.
      NEXT_CACHE_USERNAME: 'shop',
      NEXT_CACHE_PASSWORD: password,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watch(node, 'node', (line) => {
    const ready = readyLine(line);
    if (ready === undefined) say('node', line);
    else welcome({ ...ready, warehouse, pid, password });
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

function welcome({ http, admin, warehouse, pid, password }) {
  console.log(`
  The shop is open:  ${http}/

  Open it twice, and buy a sack in one of the windows. Try, in another terminal:
    curl -sI ${http}/ | grep -i cache              the page's Cache-Status and Cache-Groups, twice
    curl -X PATCH -d '{"price":99}' ${warehouse}/products/3      a change of the warehouse
    curl -X PUT -d 'Closed on Monday.' ${http}/api/note         revalidateTag('note')
    curl -u shop:${password} ${admin}/metrics         what the node counts

  The warehouse is process ${pid}; Next.js is run by the node. Kill either and go on reading.
`);
}

function watch(child, name, online) {
  children.add(child);
  createInterface({ input: child.stdout }).on('line', online);
  createInterface({ input: child.stderr }).on('line', (line) => say(name, line));
  child.on('exit', (code, signal) => {
    children.delete(child);
    if (stopping) return;
    say(name, `ended (${signal ?? code})`);
    // Without its warehouse the shop goes on with what the node holds.
    if (name === 'node') stop(code || 1);
  });
}

function say(who, line) {
  if (line !== '') console.log(`${who.padEnd(10)}${line}`);
}

function stop(code) {
  if (stopping) return;
  stopping = true;
  let left = children.size;
  if (left === 0) process.exit(code);
  for (const child of children) {
    child.once('exit', () => {
      left -= 1;
      if (left === 0) process.exit(code);
    });
    child.kill('SIGTERM');
  }
  setTimeout(() => {
    for (const child of children) child.kill('SIGKILL');
    process.exit(code || 1);
  }, STOP_WITHIN_MS).unref();
}
