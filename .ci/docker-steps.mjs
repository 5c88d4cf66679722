// Proves the Dockerfile without a container engine: each stage becomes a folder that stands for its
// root, COPY copies, RUN runs there as the current user with this machine's Node; FROM, USER, EXPOSE
// and VOLUME have nothing to do. Then CMD is started, and HEALTHCHECK's command asked, as Docker
// would. What it cannot prove: the base image and the ownership that --chown gives.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { check, finish, startNode, until } from './node-process.mjs';

const repository = process.argv[2] ?? process.cwd();
const work = mkdtempSync(join(tmpdir(), 'millrace-image-'));

/** The instructions of a Dockerfile: comments dropped, continued lines joined. */
function instructionsOf(text) {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  const joined = lines.join('\n').replace(/\\\n/g, ' ').split('\n');
  return joined.flatMap((line) => {
    const match = /^\s*([A-Z]+)\s+(.*)$/.exec(line);
    return match === null ? [] : [{ word: match[1], rest: match[2].trim() }];
  });
}

/** Whether the build context has a path, by the `*` then `!name` form of .dockerignore. */
const context = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n');
const inContext = (path) => context.includes(`!${path.split('/')[0]}`);
const EXCLUDED = new Set(['dist', 'node_modules']);

const stages = new Map();
let stage;

const inStage = (of, path) => join(of.root, path.startsWith('/') ? path : join(of.workdir, path));

function copy(rest) {
  const words = rest.split(/\s+/);
  const flags = words.filter((word) => word.startsWith('--'));
  const paths = words.filter((word) => !word.startsWith('--'));
  const target = paths.pop();
  const from = flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length);
  for (const path of paths) {
    assert.ok(from !== undefined || inContext(path), `${path} is not in the build context`);
    const source = from === undefined ? join(repository, path) : join(stages.get(from).root, path);
    const into = inStage(stage, target);
    const isFolder = statSync(source).isDirectory();
    const to = !isFolder && target.endsWith('/') ? join(into, basename(source)) : into;
    const filter = (name) => from !== undefined || !EXCLUDED.has(basename(name));
    cpSync(source, to, { recursive: true, verbatimSymlinks: true, filter });
  }
}

function replay({ word, rest }) {
  if (word === 'FROM') {
    const name = / AS (\S+)$/i.exec(rest)?.[1] ?? 'final';
    const root = join(work, name);
    stage = { root, workdir: '/', env: {}, command: [], healthcheck: [] };
    stages.set(name, stage);
  } else if (word === 'WORKDIR') {
    stage.workdir = rest;
    mkdirSync(inStage(stage, '.'), { recursive: true });
  } else if (word === 'COPY') copy(rest);
  else if (word === 'RUN') {
    execFileSync('sh', ['-euc', rest], {
      cwd: inStage(stage, '.'),
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } else if (word === 'ENV') {
    for (const [, name, value] of rest.matchAll(/(\w+)=(\S+)/g)) stage.env[name] = value;
  } else if (word === 'CMD') stage.command = JSON.parse(rest);
  else if (word === 'HEALTHCHECK') stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('[')));
  else assert.ok(['USER', 'EXPOSE', 'VOLUME'].includes(word), `unknown instruction ${word}`);
}

const bytesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .reduce((sum, one) => sum + statSync(join(one.parentPath ?? one.path, one.name)).size, 0);

const steps = instructionsOf(readFileSync(join(repository, 'Dockerfile'), 'utf8'));
const replayed = await check('the Dockerfile replays', () => {
  for (const step of steps) {
    console.log(`     ${step.word} ${step.rest.slice(0, 90)}`);
    replay(step);
  }
});

/** The binaries that this machine's Node cannot load are another platform's. */
function foreignBinaries(folder) {
  const { platform, arch, versions } = process;
  const isForeign = (path) =>
    path.endsWith('.musl.node') ||
    (/uws_.*\.node$/.test(path) &&
      !path.endsWith(`${platform}_${arch}_${versions.modules}.node`)) ||
    (/prebuilds\/.*\.node$/.test(path) && !path.includes(`prebuilds/${platform}-${arch}/`));
  return readdirSync(folder, { recursive: true }).filter(isForeign);
}

async function startImage(image) {
  const [command, ...args] = image.command.map((word) =>
    word.startsWith('/') ? inStage(image, word) : word,
  );
  const volumes = { MILLRACE_DATA: inStage(image, image.env.MILLRACE_DATA) };
  const ports = { MILLRACE_HTTP_PORT: '0', MILLRACE_ADMIN_PORT: '0', MILLRACE_MQTT_PORT: '0' };
  const env = { ...image.env, ...volumes, ...ports };
  return startNode(command, args, { cwd: inStage(image, '.'), env, seconds: 60 });
}

if (replayed) {
  const image = stages.get('final');
  await check('the image holds only binaries of this platform, below 150 MB', () => {
    const modules = inStage(image, 'node_modules');
    assert.deepEqual(foreignBinaries(modules), []);
    const megabytes = Math.round(bytesBelow(image.root) / 1e6);
    console.log(`     ${megabytes} MB`);
    assert.ok(megabytes < 150, `${megabytes} MB`);
  });
  await check('its command serves an application, and its health check passes', async () => {
    cpSync(join(repository, '.ci/image-app'), inStage(image, '/app'), { recursive: true });
    const node = await startImage(image);
    try {
      assert.equal((await fetch(`${node.ready.http}/Note/none`)).status, 404);
      const [command, ...args] = image.healthcheck;
      const port = new URL(node.ready.admin).port;
      const env = { ...process.env, MILLRACE_ADMIN_PORT: port };
      await until('the health check', 20, () => {
        try {
          execFileSync(command, args, { env, stdio: 'ignore' });
          return true;
        } catch {
          return false;
        }
      });
      assert.equal(await node.stop(), 0, node.output.slice(-2000));
    } finally {
      node.kill();
    }
  });
}
rmSync(work, { recursive: true, force: true });
finish();
