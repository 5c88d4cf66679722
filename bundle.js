/**
 * Second half of `npm run build`: what a node loads, in a few files instead of five hundred. Finding
 * and linking modules one by one is most of what a start costs, and each app thread pays it again.
 *
 * The compiler has written every module to `dist/`; the entries below are then replaced by bundles
 * of the same names, which share their chunks, so that a class is one class whoever imports it.
 * Packages that every start loads come in too; all others stay outside, and what is imported when
 * it is needed stays a chunk of its own. A module that is loaded by its own address (a kind of
 * origin, a thread's entry) works bundled or not. Names stay as they are, so that a stack trace
 * tells its functions; blanks go, because the engine reads all of the text at each start.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const SOURCES = fileURLToPath(new URL('src', import.meta.url));
const DIST = fileURLToPath(new URL('dist', import.meta.url));
const CHUNK = 'chunk.';
const ENTRIES = ['main.ts', 'index.ts', 'worker.ts', 'worker-passwords.ts', 'worker-watchdog.ts'];
/** Pure JavaScript of many small files, and nothing that an application meets as an object. */
const BUNDLED_PACKAGES = [
  'commander',
  'graphql',
  'lru-cache',
  'mqtt-packet',
  'p-limit',
  'picocolors',
  'pino',
  'prom-client',
  'ws',
  'yaml',
];
/** As an expression; its name in a text stays a text. */
const OWN_ADDRESS = /(?<!['"`])\bimport\.meta\.url\b(?!['"`])/g;

/** A module goes on finding what lies beside it: it is told the address it would have unbundled. */
const ownAddresses = {
  name: 'own-addresses',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      const module = path.relative(SOURCES, file).replace(/\.ts$/, '.js');
      const address = `new URL(${JSON.stringify(module)}, __dist).href`;
      return { contents: source.replace(OWN_ADDRESS, () => address), loader: 'ts' };
    });
  },
};

/**
 * `debug`, of mqtt-packet, gathers what it is told into an array before it finds that nobody
 * listens: a fifth of what a delivery of QoS 1 allocates.
 */
const silent = {
  name: 'silent',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^debug$/ }, () => ({ path: 'debug', namespace: 'silent' }));
    onLoad({ filter: /.*/, namespace: 'silent' }, () => ({
      contents: 'module.exports = () => () => undefined;',
    }));
  },
};

const { dependencies } = JSON.parse(
  await readFile(new URL('package.json', import.meta.url), 'utf8'),
);
const external = Object.keys(dependencies).filter((name) => !BUNDLED_PACKAGES.includes(name));

const { metafile } = await build({
  entryPoints: ENTRIES.map((entry) => path.join(SOURCES, entry)),
  outdir: DIST,
  outbase: SOURCES,
  // All bundles lie in one folder, whose address is therefore that of any of them.
  chunkNames: `${CHUNK}[name]-[hash]`,
  metafile: true,
  // Bundled packages in the older module format ask for the runtime's own modules by `require`.
  banner: {
    js: [
      "import { createRequire as __createRequire } from 'node:module';",
      'const __dist = import.meta.url;',
      'const require = __createRequire(__dist);',
    ].join('\n'),
  },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: [...external, 'pg-native'],
  // A copy of the runtime's own streams, which a dependency of mqtt-packet brings.
  alias: { 'readable-stream': 'node:stream' },
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  sourcemap: true,
  sourcesContent: false,
  // `ws` does without native code of its own: no binary is loaded whose digest is not checked.
  define: {
    'process.env.WS_NO_BUFFER_UTIL': '"1"',
    'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
  },
  plugins: [ownAddresses, silent],
  logLevel: 'warning',
});

// What earlier builds left. Chunks are named by their contents: a node that runs keeps its own.
const written = new Set(Object.keys(metafile.outputs).map((file) => path.basename(file)));
const left = (await readdir(DIST)).filter((name) => name.startsWith(CHUNK) && !written.has(name));
await Promise.all(left.map((name) => rm(path.join(DIST, name), { force: true })));

// The client by itself, as pages load it from the node: one small file without imports.
await build({
  entryPoints: [path.join(SOURCES, 'client/client.ts')],
  outfile: path.join(DIST, 'client/client.min.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warning',
});
