/**
 * Where in the application's own files an error came from. Stack traces name written lines, since
 * compiled code carries its source map.
 */
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface CodePlace {
  /** Relative to the application, with slashes. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

const FRAME = /\(?((?:file:\/\/)?\/[^\s()]+):(\d+):(\d+)\)?/g;

/** The innermost frame inside `folder`; `undefined` when the error did not pass through it. */
export function placeInCode(error: unknown, folder: string): CodePlace | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const [, at = '', line, column] of stack.matchAll(FRAME)) {
    const file = at.startsWith('file://') ? fileURLToPath(at) : at;
    if (!file.startsWith(folder + sep) || file.includes('node_modules')) continue;
    const shown = relative(folder, file).split(sep).join('/');
    return { file: shown, line: Number(line), column: Number(column) };
  }
  return undefined;
}
