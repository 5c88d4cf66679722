/**
 * Where in the application's files a class stands, found by its name: what is wrong with a loaded
 * class has no stack that could tell.
 */
import { readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { SourcePlace } from '../schema/definition.ts';

export class ClassPlaces {
  readonly #files: readonly string[];
  readonly #folder: string;

  constructor(files: readonly string[], folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** The line of the class; line 0 when it was made some other way. */
  of({ name }: { readonly name: string }): SourcePlace {
    for (const path of this.#files) {
      const lines = readFileSync(path, 'utf8').split('\n');
      const start = lines.findIndex((line) => wordAt(line, `class ${name}`) !== -1);
      if (start === -1) continue;
      const file = relative(this.#folder, path).split(sep).join('/');
      return { file, line: start + 1, column: (lines[start] ?? '').search(/\S/) + 1 };
    }
    return { file: 'resources', line: 0, column: 0 };
  }
}

/** Where `words` begins in the line and does not go on as a longer name. */
function wordAt(line: string, words: string): number {
  const at = line.indexOf(words);
  return at !== -1 && !/[\w$]/.test(line.charAt(at + words.length)) ? at : -1;
}
