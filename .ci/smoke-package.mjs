// The package as a user gets it: packed, installed in an empty folder, its command run from there,
// with every shipped policy named by an application of five lines.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, finish, startNode } from './node-process.mjs';

const clone = process.argv[2] ?? process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'));
const run = (command, args, cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const { version } = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'));
const LISTENING = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];

const installed = await check('npm pack installs in an empty folder', () => {
  run('npm', ['run', '-s', 'build'], clone);
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], clone));
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `./${packed.filename}`]);
});

const policies = readdirSync(join(clone, 'cache-policies'))
  .filter((name) => /\.(yaml|ts)$/.test(name))
  .map((name) => name.replace(/\.(yaml|ts)$/, ''));
const kinds = readdirSync(join(clone, 'origins'))
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  // A kind may have files beside it.
  .filter((name) => /defineOriginKind\(/.test(readFileSync(join(clone, 'origins', name), 'utf8')))
  .map((name) => name.replace(/\.ts$/, ''));

/** What a kind cannot do without. */
const NEEDED = {
  millrace: 'url: http://127.0.0.1:9/Thing',
  websocket: 'url: ws://127.0.0.1:9/live\nfeed: { id: $.id }',
  mqtt: 'url: mqtt://127.0.0.1:9\ntopic: things/{id}',
  nats: 'url: nats://127.0.0.1:9\nsubject: things.{id}',
  postgres: 'url: postgres://nobody@127.0.0.1:9/app\ntable: things',
};
const settingsOf = (kind) =>
  `kind: ${kind}\n${NEEDED[kind] ?? 'url: http://127.0.0.1:9'}\nallowPrivate: true\n`;

/** An application with one table for each policy and one origin for each kind. */
function writeApplication(app) {
  mkdirSync(join(app, 'origins'), { recursive: true });
  for (const kind of kinds) {
    writeFileSync(join(app, 'origins', `${kind}.yaml`), settingsOf(kind));
  }
  const tables = policies.map(
    (policy, index) => `type T${index} @table @export(public: [read, insert, update])
  @sourcedFrom(origin: "http", path: "/{id}") @cache(policy: "${policy}") { id: ID! @primaryKey }\n`,
  );
  const own = 'type Note @table @export(public: [read, insert, update]) { id: ID! @primaryKey }\n';
  writeFileSync(join(app, 'schema.graphql'), own + tables.join(''));
}

if (installed) {
  await check('npx millrace version prints the version of the package', () => {
    assert.ok(run('npx', ['--no-install', 'millrace', 'version']).includes(version));
  });
  await check('millrace/render and millrace/next load, from modules and from CommonJS', () => {
    const used = 'createRender,createCacheHandler,createUseCacheHandler,register';
    const names = `const{${used}}={...await import('millrace/render'),...await import('millrace/next')};`;
    const told = `console.log([${used}].every((one)=>typeof one==='function'))`;
    assert.equal(run('node', ['--input-type=module', '-e', names + told]).trim(), 'true');
    const required = "console.log(typeof require('millrace/next').register)";
    assert.equal(run('node', ['-e', required]).trim(), 'function');
  });
  await check('their types are found by a user of TypeScript', () => {
    const source = `import { createRender, type Render } from 'millrace/render';
import { createCacheHandler } from 'millrace/next';
export const render: Render = createRender({ node: 'http://127.0.0.1:9926' });
export default createCacheHandler({ url: 'http://127.0.0.1:9926' });
`;
    writeFileSync(join(folder, 'renderer.mts'), source);
    const tsc = join(clone, 'node_modules/typescript/bin/tsc');
    const types = join(clone, 'node_modules/@types');
    const flags = ['--module', 'nodenext', '--target', 'es2023', '--noEmit', '--strict'];
    const found = ['--typeRoots', types, '--types', 'node'];
    run('node', [tsc, ...flags, ...found, join(folder, 'renderer.mts')]);
  });
  const app = join(folder, 'my-app');
  writeApplication(app);
  await check(`check accepts every kind (${kinds}) and policy (${policies}) by name`, () => {
    run('npx', ['--no-install', 'millrace', 'check', app]);
  });
  await check('npx millrace dev serves a record that was put', async () => {
    const args = ['--no-install', 'millrace', 'dev', app, '--data', join(folder, 'kept')];
    const node = await startNode('npx', [...args, ...LISTENING], { cwd: folder, seconds: 60 });
    try {
      const url = `${node.ready.http}/Note/1`;
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ id: '1', text: 'packed' });
      assert.equal((await fetch(url, { method: 'PUT', headers, body })).status, 201);
      assert.equal((await (await fetch(url)).json()).text, 'packed');
    } finally {
      await node.stop();
      node.kill();
    }
  });
}
rmSync(folder, { recursive: true, force: true });
finish();
