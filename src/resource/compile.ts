/**
 * Loads an application's own code (`origins/*.ts`, `cache-policies/*.ts`, `resources/*.ts`, or
 * `.js`) without a build step of its own: bundles the file with its relative imports, writes the
 * result where only this user can, imports it, and removes the file again.
 *
 * `millrace` becomes this installation, so an application needs no node_modules for it; other bare
 * names are resolved from the importing file and stay outside the bundle. CommonJS works beside
 * modules: `require` of what stays outside goes through Node's own. Mistakes come back as
 * problems with file, line and column. esbuild is loaded with the first file; its helper
 * process ends soon after the last.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type {
  BuildOptions,
  Loader,
  Message,
  OnLoadArgs,
  OnResolveArgs,
  Plugin,
  PluginBuild,
} from 'esbuild';
import type { Problem } from '../schema/problem.ts';
import { placeInCode } from './code-place.ts';

export type LoadedCode =
  | {
      readonly exports: Readonly<Record<string, unknown>>;
      /** Of the compiled text: what the file and all it imports come to. */
      readonly fingerprint: string;
      readonly problems?: undefined;
    }
  | { readonly problems: readonly Problem[]; readonly exports?: undefined };

/** Loads the module at `path` (absolute) of the application in `folder` (absolute). */
export const loadCode = (path: string, folder: string): Promise<LoadedCode> =>
  load({ entryPoints: [path] }, path, folder);

/** The fingerprint that the module would have if it were loaded now, without loading it. */
export async function fingerprintOf(path: string, folder: string): Promise<string | undefined> {
  const compiled = await compile({ entryPoints: [path] }, path, folder);
  return typeof compiled === 'string' ? hashOf(compiled) : undefined;
}

const hashOf = (compiled: string): string =>
  createHash('sha256').update(compiled).digest('hex').slice(0, 16);

/**
 * Loads several modules as one, so that what they import in common exists once. The exports are
 * namespaces `module0`, `module1`, … in the order of `paths`.
 */
export function loadTogether(paths: readonly string[], folder: string): Promise<LoadedCode> {
  const contents = paths
    .map((path, index) => `export * as module${index} from ${JSON.stringify(path)};`)
    .join('\n');
  const stdin = { contents, resolveDir: folder, sourcefile: 'millrace-modules.js' };
  return load({ stdin }, paths[0] ?? folder, folder);
}

type Entry = Pick<BuildOptions, 'entryPoints' | 'stdin'>;

async function load(entry: Entry, path: string, folder: string): Promise<LoadedCode> {
  const compiled = await compile(entry, path, folder);
  if (typeof compiled !== 'string') return { problems: compiled };
  // An unguessable folder of mode 0700: nobody else may slip in code that this process would run.
  const place = await mkdtemp(join(tmpdir(), 'millrace-code-'));
  const fingerprint = hashOf(compiled);
  const file = join(place, `${fingerprint}.mjs`);
  // Stack traces, ours below and those in logs, then name the lines that were written.
  process.setSourceMapsEnabled(true);
  try {
    await writeFile(file, compiled);
    return { exports: await import(pathToFileURL(file).href), fingerprint };
  } catch (error) {
    return { problems: [importProblem(error, path, folder)] };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Milliseconds without a file to compile after which the helper process is ended. */
const IDLE_MS = 1_000;
// esbuild keeps one helper a thread, whoever asks: so this is one a thread too.
const helper: { running: number; idle?: NodeJS.Timeout | undefined } = { running: 0 };

async function compile(
  entry: Entry,
  path: string,
  folder: string,
): Promise<string | readonly Problem[]> {
  const { build, stop } = await import('esbuild');
  clearTimeout(helper.idle);
  helper.running += 1;
  try {
    const result = await build({
      ...entry,
      absWorkingDir: folder,
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      // Sources are named relative to the output, which is written somewhere else than it says.
      outfile: join(folder, 'compiled.mjs'),
      sourceRoot: `${pathToFileURL(folder).href}/`,
      logLevel: 'silent',
      define: Object.fromEntries(FILE_FACTS.map(({ written, name }) => [written, name])),
      inject: [GLOBALS],
      plugins: [outsidePlugin],
    });
    return result.outputFiles[0]?.text ?? '';
  } catch (error) {
    return buildMessages(error).map((message) => buildProblem(message, path, folder));
  } finally {
    helper.running -= 1;
    // Reloading compiles several files in a row: the helper stays for the next one.
    if (helper.running === 0) helper.idle = setTimeout(() => void stop(), IDLE_MS).unref();
  }
}

/** This installation; the other two are what the application may have been written for. */
const OWN_NAMES: ReadonlySet<string> = new Set(['millrace', 'harper', 'harperdb']);
/**
 * What applications written for Harper use without importing it. A name that a module declares or
 * imports itself stays its own; one that nobody uses costs nothing.
 */
const GLOBALS = 'millrace:globals';
const GLOBAL_NAMES = [
  ...['Resource', 'RequestTarget', 'auth', 'contentTypes', 'createBlob', 'databases'],
  ...[
    'getContext',
    'getResponse',
    'getUser',
    'logger',
    'resources',
    'server',
    'tables',
    'transaction',
  ],
];
/** What a module asks of its own file, and the name that stands for it in the bundle. */
const FILE_FACTS = [
  {
    written: 'import.meta.url',
    name: '__millraceModuleUrl',
    of: (file: string) => pathToFileURL(file).href,
  },
  { written: '__filename', name: '__millraceFilename', of: (file: string) => file },
  { written: '__dirname', name: '__millraceDirname', of: (file: string) => dirname(file) },
] as const;
/** What is required from outside of the bundle. */
const REQUIRED = 'millrace:required';
const LOADERS: Readonly<Record<string, Loader>> = {
  '.cts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.mts': 'ts',
  '.ts': 'ts',
};

const outsidePlugin: Plugin = {
  name: 'millrace',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, (args) => outside(build, args));
    build.onLoad({ filter: /\.[cm]?[jt]s$/, namespace: 'file' }, (args) => withFileFacts(args));
    build.onLoad({ filter: /.*/, namespace: REQUIRED }, (args) => requiring(args));
    build.onResolve({ filter: /^millrace:globals$/ }, () => ({
      path: GLOBALS,
      namespace: GLOBALS,
    }));
    build.onLoad({ filter: /.*/, namespace: GLOBALS }, () => ({
      contents: `export { ${GLOBAL_NAMES.join(', ')} } from 'millrace';`,
      resolveDir: dirname(publicSurface().slice('file://'.length)),
    }));
  },
};

/** Bare names: this installation, Node's own modules, or packages near the importing file. */
async function outside(build: PluginBuild, args: OnResolveArgs) {
  if (args.path === GLOBALS || args.kind === 'entry-point' || args.pluginData === outsidePlugin)
    return undefined;
  if (args.path.startsWith('file:')) return { path: args.path, external: true };
  const isRequired = args.kind === 'require-call';
  if (OWN_NAMES.has(args.path)) return leftOutside(publicSurface(), isRequired);
  if (isBuiltin(args.path)) return leftOutside(args.path, isRequired);
  const { kind, resolveDir, importer } = args;
  const found = await build.resolve(args.path, {
    kind,
    resolveDir,
    importer,
    pluginData: outsidePlugin,
  });
  if (found.errors.length > 0) return { errors: found.errors };
  // `paths` of a tsconfig and `imports` of a package.json lead to the application's own files.
  if (!found.path.includes(`${sep}node_modules${sep}`)) return { path: found.path };
  const path = isRequired ? found.path : pathToFileURL(found.path).href;
  return leftOutside(path, isRequired);
}

/** An import stays as it is; a call of `require` needs a module in the bundle that makes it. */
const leftOutside = (path: string, isRequired: boolean) =>
  isRequired ? { path, namespace: REQUIRED } : { path, external: true };

/** A module that yields what stays outside, to who requires it. */
function requiring({ path }: OnLoadArgs) {
  const quoted = JSON.stringify(path);
  if (path.startsWith('file:')) return { contents: `export * from ${quoted};`, resolveDir: '/' };
  const node = 'process.getBuiltinModule';
  const found = isBuiltin(path)
    ? `${node}(${quoted})`
    : `${node}('node:module').createRequire(${quoted})(${quoted})`;
  return { contents: `module.exports = ${found};` };
}

/** The built `index.js`, even when this file runs from source: applications load plain modules. */
function publicSurface(): string {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(fromSource ? '../../dist/index.js' : '../index.js', import.meta.url).href;
}

/** `import.meta.url` and its like mean the file that was written, not the bundle it ended up in. */
async function withFileFacts(args: OnLoadArgs) {
  const source = await readFile(args.path, 'utf8');
  const used = FILE_FACTS.filter(({ written }) => source.includes(written));
  if (used.length === 0) return undefined;
  const facts = used.map(({ name, of }) => `${name} = ${JSON.stringify(of(args.path))}`);
  const loader = LOADERS[extname(args.path)] ?? 'js';
  // On the first line, so that the numbers of the lines stay right.
  return {
    contents: `const ${facts.join(', ')}; ${source}`,
    loader,
    resolveDir: dirname(args.path),
  };
}

function buildMessages(error: unknown): readonly Pick<Message, 'text' | 'location'>[] {
  if (typeof error === 'object' && error !== null && 'errors' in error) {
    if (Array.isArray(error.errors) && error.errors.length > 0) return error.errors;
  }
  return [{ text: error instanceof Error ? error.message : String(error), location: null }];
}

function buildProblem(
  message: Pick<Message, 'text' | 'location'>,
  path: string,
  folder: string,
): Problem {
  const { location, text } = message;
  if (location === null) return { file: shown(path, folder), line: 0, column: 0, message: text };
  const file = location.file === '' ? shown(path, folder) : location.file;
  return { file, line: location.line, column: location.column + 1, message: text };
}

/** What the module threw while it was being loaded, at the place where it did. */
function importProblem(error: unknown, path: string, folder: string): Problem {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const place = placeInCode(error, folder) ?? { file: shown(path, folder), line: 0, column: 0 };
  return { ...place, message };
}

const shown = (path: string, folder: string): string => relative(folder, path).split(sep).join('/');
