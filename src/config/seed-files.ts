/**
 * The files whose records an application wants to be there: `seed/`, a file a table, or what
 * `dataLoader` of a `config.yaml` names. They are listed here; their records are read at the start.
 */
import { join } from 'node:path';
import { filesMatching, isFolder } from './application-files.ts';
import type { Component } from './component-file.ts';

export interface SeedFile {
  /** Absolute. */
  readonly path: string;
  /** Relative to the application, with slashes: how problems speak of it. */
  readonly file: string;
  /** The table that is meant when the file does not name one. */
  readonly table: string;
}

const SEED_FOLDER = 'seed';
const SEED_FILES = `${SEED_FOLDER}/*.{json,yaml,yml,ndjson,jsonl,csv}`;

export function seedFiles(folder: string, component: Component | undefined): readonly SeedFile[] {
  const own = isFolder(join(folder, SEED_FOLDER)) ? filesMatching(folder, SEED_FILES) : [];
  const files = component === undefined ? own : component.seedFiles;
  return files.map((file) => ({
    path: join(folder, file),
    file,
    table: (file.split('/').at(-1) ?? file).replace(/\.[^.]*$/, ''),
  }));
}
