/** Reads the repository's own files, tracked and about to be, for the house rules. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ParsedFile, parse, type SourceText, sourceText } from './finding.ts';

const top = fileURLToPath(new URL('../../../', import.meta.url));
const BYTES_MAX = 2 * 1024 * 1024;
const BINARY = /\.(png|jpg|gif|ico|webp|woff2?|mdb|bin|gz|br|wasm)$/;

/** Every text file of the repository, by path. */
export function repositoryFiles(): readonly SourceText[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: top,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  return [...new Set(listed.split('\n'))]
    .filter((path) => path !== '' && !BINARY.test(path))
    .filter((path) => existsSync(top + path) && statSync(top + path).size <= BYTES_MAX)
    .filter((path) => statSync(top + path).isFile())
    .map((path) => sourceText(path, readFileSync(top + path, 'utf8')));
}

/** The TypeScript among them that the rules look into. */
export function parsedFiles(files: readonly SourceText[]): readonly ParsedFile[] {
  return files
    .filter((file) => /^(src|origins|cache-policies|test|loadtest)\/.*\.ts$/.test(file.path))
    .map(parse);
}
