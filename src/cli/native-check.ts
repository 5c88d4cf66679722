/**
 * Looks at the native binaries before the first of them is loaded: what is not the published file
 * does not run, since it would run with all rights of the process. A package that is not installed
 * is not missed here (its user says so better), and an operator who builds their own says that they
 * trust them by `MILLRACE_TRUST_NATIVE=1`, which is told at every start.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileDigest } from '../base/file-digest.ts';
import { NATIVE_DIGESTS, NATIVE_VERSIONS } from './native-digests.ts';

export interface NativeFault {
  readonly file: string;
  readonly package: string;
}

/** Who loads each family of packages: they are found from there, wherever npm has put them. */
const USERS: Readonly<Record<string, string>> = {
  '@lmdb': 'lmdb',
  '@msgpackr-extract': 'msgpackr-extract',
  '@cbor-extract': 'cbor-extract',
  '@node-rs': '@node-rs/argon2',
};
/** Through whom the users are found, when npm has not put them at the top. */
const THROUGH: Readonly<Record<string, string>> = {
  'msgpackr-extract': 'msgpackr',
  'cbor-extract': 'cbor-x',
};

/** Binaries of this machine that are not the published ones. */
export function nativeFaults(
  digests = NATIVE_DIGESTS,
  folderOf: FolderOf = packageFolder,
): readonly NativeFault[] {
  return [...ownBuilds(folderOf), ...changedFiles(digests, folderOf)];
}

type FolderOf = (name: string) => string | undefined;

function changedFiles(digests: typeof NATIVE_DIGESTS, folderOf: FolderOf): NativeFault[] {
  return Object.entries(digests).flatMap(([name, files]) => {
    if (!isOfThisMachine(name)) return [];
    const folder = folderOf(name);
    if (folder === undefined || !isKnownVersion(name, folder)) return [];
    return loadedOf(readdirSync(folder))
      .map((file) => ({ file: path.join(folder, file), wanted: files[file] }))
      .filter(({ file, wanted }) => fileDigest(file) !== wanted)
      .map(({ file }) => ({ file, package: name }));
  });
}

/**
 * Whoever installs the package of this program gets the versions that its dependencies ask for,
 * which may be newer than those of our lock: npm has checked them, and there is no digest here.
 */
function isKnownVersion(name: string, folder: string): boolean {
  const [scope = ''] = name.split('/');
  const manifest = readFileSync(path.join(folder, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version?: string }).version === NATIVE_VERSIONS[scope];
}

/** What was built in place would be loaded before what was published. */
function ownBuilds(folderOf: FolderOf): NativeFault[] {
  return Object.values(USERS).flatMap((name) => {
    const folder = folderOf(name);
    if (folder === undefined) return [];
    return ['build/Release', 'build/Debug'].flatMap((built) => {
      const place = path.join(folder, built);
      const files = existsSync(place) ? readdirSync(place) : [];
      const own = files.filter((file) => file.endsWith('.node'));
      return own.map((file) => ({ file: path.join(place, file), package: name }));
    });
  });
}

const isOfThisMachine = (name: string): boolean =>
  name.includes(`-${process.platform}-${process.arch}`);

/**
 * Of a package's files those that this process would load: one made for this very Node comes first.
 * The others are left alone, since reading them would cost the start.
 */
function loadedOf(files: readonly string[]): readonly string[] {
  const fitting = files.filter((file) => file.endsWith('.node') && mayLoad(file));
  const own = fitting.filter((file) => file.includes('.abi'));
  return own.length > 0 ? own : fitting;
}

/** Whether a file is for this Node and this C library. */
function mayLoad(file: string): boolean {
  const [, abi] = /\.abi(\d+)\./.exec(file) ?? [];
  if (abi !== undefined && abi !== process.versions.modules) return false;
  // The same mark by which the loader of these packages decides.
  const other = existsSync('/etc/alpine-release') ? '.glibc.' : '.musl.';
  return !file.includes(other);
}

function packageFolder(name: string): string | undefined {
  const [scope = ''] = name.split('/');
  const user = Object.values(USERS).includes(name) ? name : (USERS[scope] ?? name);
  let from: string | undefined = import.meta.url;
  for (const step of new Set([THROUGH[user], user, name])) {
    if (step !== undefined) from = from && manifestOf(step, from);
  }
  return from === undefined ? undefined : path.dirname(from);
}

/** The file `package.json` of a package, seen from a file; its `exports` may hide it. */
function manifestOf(name: string, from: string): string | undefined {
  const folders = createRequire(from).resolve.paths(name) ?? [];
  for (const folder of folders) {
    const file = path.join(folder, name, 'package.json');
    try {
      readFileSync(file);
      return file;
    } catch {
      // It may be in the next one.
    }
  }
  return undefined;
}

/** What is wrong, for people; empty when nothing is. */
export function nativeProblem(faults: readonly NativeFault[]): string {
  if (faults.length === 0) return '';
  const files = faults.map(({ file, package: name }) => `\n  ${file} (${name})`).join('');
  return (
    `native code was changed after it was published (SHA-256 differs):${files}\n` +
    'nothing was started. Install again with `npm ci`; if you built it yourself, set ' +
    'MILLRACE_TRUST_NATIVE=1'
  );
}
