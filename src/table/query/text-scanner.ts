/**
 * A place in the text of a query, moving forward. Knows characters and percent-encoding, not the
 * grammar. Every step moves on or fails, so that reading a text takes time linear in its length.
 */
import { queryInvalid } from './query-error.ts';

export class TextScanner {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isDone(): boolean {
    return this.at >= this.text.length;
  }

  /** The character here; '' at the end. */
  get here(): string {
    return this.text[this.at] ?? '';
  }

  startsWith(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }

  /** Moves over `text` when it stands here. */
  take(text: string): boolean {
    if (!this.startsWith(text)) return false;
    this.at += text.length;
    return true;
  }

  /** Moves over `text`, which must stand here. */
  expect(text: string, why: string): void {
    if (!this.take(text)) throw this.invalid(`${JSON.stringify(text)} is missing: ${why}`);
  }

  /** Moves to the first of the characters of `stops`, or the end; what was passed. */
  until(stops: string): string {
    const start = this.at;
    while (!this.isDone && !stops.includes(this.here)) this.at += 1;
    return this.text.slice(start, this.at);
  }

  /**
   * As `until`, but passes round brackets which are balanced within: clients do not encode them.
   */
  untilUnbalanced(stops: string): string {
    const start = this.at;
    let open = 0;
    for (; !this.isDone; this.at += 1) {
      const { here } = this;
      if (here === '(') open += 1;
      else if (here === ')' && open > 0) open -= 1;
      else if (stops.includes(here)) break;
    }
    return this.text.slice(start, this.at);
  }

  invalid(what: string, at = this.at) {
    return queryInvalid(what, at);
  }
}

/** Text out of a URL: `+` is a space. Throws `QUERY_INVALID` with the position of its beginning. */
export function decodeText(encoded: string, position: number): string {
  if (!encoded.includes('%') && !encoded.includes('+')) return encoded;
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch (cause) {
    const what = `${quoted(encoded)} is not valid percent-encoding`;
    throw queryInvalid(what, position, cause);
  }
}

const QUOTED_CHARS_MAX = 60;

/** The beginning of a client's text, for an error message. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text);
