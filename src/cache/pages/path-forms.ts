/**
 * The two readings of a path: as it is spelled, and as an origin may resolve it that decodes
 * slashes, removes dot segments and path parameters, or cuts at a fragment. Millrace asks for and
 * stores a page under the path as it came; the second reading only tells whether some rule is
 * circumvented by a spelling (web cache deception). Pure.
 */

/** As it is spelled; what may be written without percent-encoding is [RFC3986 §2.3]. */
export const plainPath = (path: string): string =>
  path.includes('%') ? path.replace(TRIPLETS, unreserved) : path;

/** As it may be resolved; `undefined` when there is nothing to be resolved. */
export function resolvedPath(path: string): string | undefined {
  if (!RESOLVABLE.test(path)) return undefined;
  let text = path;
  for (let round = 0; round < DECODINGS_MAX && text.includes('%'); round += 1) {
    const decoded = text.replace(TRIPLETS, structural);
    if (decoded === text) break;
    text = decoded;
  }
  const end = text.search(/[?#\0\t\n\r]/);
  const segments: string[] = [];
  for (const part of (end < 0 ? text : text.slice(0, end)).split(/[/\\]+/)) {
    const [name = ''] = part.split(';', 1);
    if (name === '..') segments.pop();
    else if (name !== '.') segments.push(name);
  }
  const resolved = segments.join('/');
  return resolved.startsWith('/') ? resolved : `/${resolved}`;
}

/**
 * As an origin may take it that minds neither case nor the spelling of letters [UAX15 NFKC], nor a
 * slash at the end; `undefined` when that is the path itself.
 */
export function foldedPath(path: string): string | undefined {
  if (!FOLDABLE.test(path)) return undefined;
  const text = path.replace(BEYOND_ASCII, decoded).normalize('NFKC').toLowerCase();
  return text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text;
}

const FOLDABLE = /[A-Z]|%[c-f]|.\/$/;
const BEYOND_ASCII = /(?:%[89A-Fa-f][0-9A-Fa-f])+/g;

function decoded(triplets: string): string {
  try {
    return decodeURIComponent(triplets);
  } catch {
    return triplets;
  }
}

/** A name that begins with a dot, an empty one, or a character that some origin takes for more. */
const RESOLVABLE = /\/[./]|[%;\\#]/;
const TRIPLETS = /%[0-9A-Fa-f]{2}/g;
/** An origin behind a proxy that decodes, too, decodes twice. */
const DECODINGS_MAX = 3;

const characterOf = (triplet: string): string =>
  String.fromCharCode(Number.parseInt(triplet.slice(1), 16));

function unreserved(triplet: string): string {
  const character = characterOf(triplet);
  return /[A-Za-z0-9._~-]/.test(character) ? character : triplet;
}

/** What the shape of a path depends on. */
function structural(triplet: string): string {
  const character = characterOf(triplet);
  return /[A-Za-z0-9._~/\\;?#%\0\t\n\r-]/.test(character) ? character : triplet;
}
