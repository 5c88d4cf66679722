/**
 * Where a value stands inside a JSON document: `$.flight.id`, `$.legs[0].gate`, or a JSON pointer
 * (RFC 6901) `/flight/id`. A fixed place only: no wildcards and no filters, so that reading one is
 * a loop over its segments.
 */

/** Names and list indexes, outermost first; empty for the whole document. */
export type JsonPath = readonly string[];

const SEGMENTS_MAX = 32;
const STEP = /\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]/y;

/** The segments of a written path; `undefined` when it is neither form, or too long. */
export function parseJsonPath(written: string): JsonPath | undefined {
  if (written === '' || written === '$') return [];
  const segments = written.startsWith('/') ? pointerSegments(written) : pathSegments(written);
  return segments === undefined || segments.length > SEGMENTS_MAX ? undefined : segments;
}

function pointerSegments(written: string): string[] | undefined {
  if (/~[^01]|~$/.test(written)) return undefined; // [RFC6901 §3]
  return written
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function pathSegments(written: string): string[] | undefined {
  if (!written.startsWith('$')) return undefined;
  const segments: string[] = [];
  STEP.lastIndex = 1;
  while (STEP.lastIndex < written.length) {
    const match = STEP.exec(written);
    const segment = match?.slice(1).find((each) => each !== undefined);
    if (segment === undefined) return undefined;
    segments.push(segment);
  }
  return segments;
}

/** The value at a path; `undefined` when there is none. Looks at own properties only. */
export function valueAt(document: unknown, path: JsonPath): unknown {
  let value = document;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[segment];
  }
  return value;
}
