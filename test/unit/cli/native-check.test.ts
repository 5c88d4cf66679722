/** The look at native binaries: what is installed is what was published; a change is told. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { nativeFaults, nativeProblem } from '../../../src/cli/native-check.ts';
import { NATIVE_DIGESTS, NATIVE_VERSIONS } from '../../../src/cli/native-digests.ts';

interface Locked {
  readonly packages: Readonly<Record<string, { readonly version: string }>>;
}

describe('native binaries', () => {
  it('are the published ones where the lock has put them', () => {
    expect(nativeFaults()).toEqual([]);
  });

  it('have a digest for every platform that the lock knows', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Locked;
    const native =
      /^node_modules\/(@(?:lmdb|msgpackr-extract|cbor-extract)\/.*|@node-rs\/argon2-.*)$/;
    const names = Object.keys(lock.packages).flatMap((place) => native.exec(place)?.[1] ?? []);
    expect(Object.keys(NATIVE_DIGESTS).sort()).toEqual(names.sort());
    const all = Object.values(NATIVE_DIGESTS).flatMap((files) => Object.values(files));
    expect(all.every((digest) => /^[0-9a-f]{64}$/.test(digest))).toBe(true);
    const locked = names.map((name) => lock.packages[`node_modules/${name}`]?.version);
    expect(names.map((name) => NATIVE_VERSIONS[name.split('/')[0] ?? ''])).toEqual(locked);
  });

  it('that were changed, or built in place, are named with what to do', () => {
    const name = `@lmdb/lmdb-${process.platform}-${process.arch}`;
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-native-'));
    const installed = path.join('node_modules', name);
    for (const file of readdirSync(installed)) {
      copyFileSync(path.join(installed, file), path.join(folder, file));
    }
    const own = (one: string) => (one === name ? folder : undefined);
    expect(nativeFaults(NATIVE_DIGESTS, own)).toEqual([]);
    const mine = [`.abi${process.versions.modules}.glibc.`, '.napi.glibc.', '.node'];
    const files = readdirSync(folder);
    const changed = mine.flatMap((part) => files.filter((file) => file.includes(part)))[0] ?? '';
    writeFileSync(path.join(folder, changed), 'something else');
    expect(nativeFaults(NATIVE_DIGESTS, own)).toEqual([
      { file: path.join(folder, changed), package: name },
    ]);
    // Of another version there is no digest: npm has checked what it installed.
    writeFileSync(path.join(folder, 'package.json'), '{"version":"99.0.0"}');
    expect(nativeFaults(NATIVE_DIGESTS, own)).toEqual([]);
    const built = mkdtempSync(path.join(tmpdir(), 'millrace-native-'));
    mkdirSync(path.join(built, 'build', 'Release'), { recursive: true });
    writeFileSync(path.join(built, 'build', 'Release', 'lmdb.node'), '');
    const faults = nativeFaults(NATIVE_DIGESTS, (one) => (one === 'lmdb' ? built : undefined));
    expect(faults).toHaveLength(1);
    expect(nativeProblem(faults)).toContain('npm ci');
    expect(nativeProblem([])).toBe('');
  });
});
