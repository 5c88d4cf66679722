/**
 * `npm start`: installs what is missing and starts a node on this folder, which runs the renderer.
 * Every argument is handed to `millrace dev`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

if (!existsSync(command)) {
  console.error(
    'The node is not built yet: run `npm ci && npm run build` in the repository first.',
  );
  process.exit(1);
}
if (!existsSync(`${here}node_modules/express`)) {
  spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
}
// In a project of your own: `npm install millrace`.
if (!existsSync(`${here}node_modules/millrace`)) {
  symlinkSync('../../..', `${here}node_modules/millrace`, 'dir');
}
const node = spawn(process.execPath, [command, 'dev', here, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => node.kill(signal));
node.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
