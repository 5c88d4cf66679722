/**
 * Finds a uWebSockets.js build that this Node and this C library can load. The package is not on
 * the registry under its own name; two aliases are installed as optional dependencies, and an
 * operator may name an official build by path. The `.node` files are required directly: the wrapper
 * of one alias falls back to a JavaScript imitation which lacks half of the calls, and says
 * nothing.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileDigest } from '../../../base/file-digest.ts';
import { UWS_20_30, UWS_20_57 } from './binaries.ts';
import type { UwsModule } from './types.ts';

export type UwsLoaded =
  | {
      readonly kind: 'loaded';
      readonly uws: UwsModule;
      readonly build: string;
      /** The binary, checked. */
      readonly file: string;
    }
  | { readonly kind: 'unusable'; readonly reason: string };

interface Candidate {
  readonly build: string;
  readonly packageName: string;
  readonly folder: string;
  readonly digests: Readonly<Record<string, string>>;
}

const candidates: readonly Candidate[] = [
  { build: '20.57', packageName: 'uWebSockets.js', folder: '.', digests: UWS_20_57 },
  { build: '20.30', packageName: 'uws-compat', folder: 'binaries', digests: UWS_20_30 },
];

const require = createRequire(import.meta.url);
const fileName = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;

/**
 * Loads the first usable build; `ownPath` names an operator's own and is then the only candidate.
 */
export function loadUws(ownPath?: string): UwsLoaded {
  if (ownPath !== undefined) return loadFile(resolve(ownPath), 'own build');
  const reasons: string[] = [];
  for (const candidate of candidates) {
    const loaded = loadCandidate(candidate);
    if (loaded.kind === 'loaded') return loaded;
    reasons.push(`${candidate.build}: ${loaded.reason}`);
  }
  return { kind: 'unusable', reason: reasons.join('; ') };
}

function loadCandidate(candidate: Candidate): UwsLoaded {
  const folder = packageFolder(candidate.packageName);
  if (folder === undefined) {
    return { kind: 'unusable', reason: `${candidate.packageName} is not installed` };
  }
  const file = join(folder, candidate.folder, fileName);
  if (!existsSync(file)) {
    return { kind: 'unusable', reason: `no binary for this platform (${fileName})` };
  }
  if (candidate.digests[fileName] !== fileDigest(file)) {
    return { kind: 'unusable', reason: `${fileName} is not the published file (SHA-256 differs)` };
  }
  return loadFile(file, candidate.build);
}

function loadFile(file: string, build: string): UwsLoaded {
  try {
    const uws: UwsModule = require(file);
    if (typeof uws.App !== 'function') {
      return { kind: 'unusable', reason: `${file} is not a uWebSockets.js build` };
    }
    // Its own name and version are nobody's business.
    uws._cfg?.('silent');
    return { kind: 'loaded', uws, build, file };
  } catch (error) {
    return { kind: 'unusable', reason: firstLine(error) };
  }
}

/** Walks the folders Node would search: package.json may be hidden by the package's `exports`. */
function packageFolder(name: string): string | undefined {
  for (const folder of require.resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (existsSync(file)) return dirname(file);
  }
  return undefined;
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? '';
}
