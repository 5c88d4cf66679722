/**
 * Cache-Control directives, of requests and of responses, as data. Parsing is tolerant where
 * RFC 9111 §5.2 and §4.2.1 ask for it (quoted numbers, odd case, duplicates) and conservative
 * where they leave a choice: a number that cannot be read counts as 0, that is, stale.
 */
import { type DeltaSeconds, deltaSeconds } from '../base/brands.ts';

/** [RFC9111 §5.2.1], [RFC5861 §4]; a directive that was absent is `undefined` or false. */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly mustRevalidate: boolean;
  readonly maxAge?: DeltaSeconds | undefined;
  readonly minFresh?: DeltaSeconds | undefined;
  /** `Infinity` for `max-stale` without a value. */
  readonly maxStale?: DeltaSeconds | undefined;
  readonly staleIfError?: DeltaSeconds | undefined;
}

/** [RFC9111 §5.2.2], [RFC5861], [RFC8246]. */
export interface ResponseDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly private: boolean;
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly immutable: boolean;
  /** Without it a status which is not understood may still be stored [RFC9111 §5.2.2.3]. */
  readonly mustUnderstand?: boolean | undefined;
  /** Fields of `no-cache="…"` and `private="…"` when each occurrence named some. */
  readonly noCacheFields?: readonly string[] | undefined;
  readonly privateFields?: readonly string[] | undefined;
  readonly maxAge?: DeltaSeconds | undefined;
  readonly sMaxage?: DeltaSeconds | undefined;
  readonly staleWhileRevalidate?: DeltaSeconds | undefined;
  readonly staleIfError?: DeltaSeconds | undefined;
}

/** A request without any directive; shared, so that the common case allocates nothing. */
export const NO_REQUEST_DIRECTIVES: RequestDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  mustRevalidate: false,
});

/** A response without any directive. */
export const NO_RESPONSE_DIRECTIVES: ResponseDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  private: false,
  public: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  immutable: false,
});

/** Directives looked at in one field; a reply with more is treated as `no-store`. */
const DIRECTIVES_MAX = 64;

/**
 * The greatest delta-seconds kept: what is larger, or overflows, counts as this [RFC9111 §1.2.2].
 */
const DELTA_SECONDS_MAX = 2 ** 31;

/** Name and, when there was one, argument with its quotes removed. */
const DIRECTIVE = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s,;"]*)))?/y;

/**
 * Directives of a request. `Pragma: no-cache` counts when there is no `Cache-Control` [RFC9111
 * §5.4]. A number that cannot be read makes `max-age` 0, `min-fresh` the greatest and `max-stale`
 * 0.
 */
export function parseRequestDirectives(
  cacheControl?: string | undefined,
  pragma?: string | undefined,
): RequestDirectives {
  if (cacheControl === undefined || cacheControl === '') {
    if (pragma === undefined || !/(^|[\s,])no-cache($|[\s,])/i.test(pragma)) {
      return NO_REQUEST_DIRECTIVES;
    }
    return { ...NO_REQUEST_DIRECTIVES, noCache: true };
  }
  const { values } = readDirectives(cacheControl);
  return {
    noCache: values.has('no-cache'),
    noStore: values.has('no-store'),
    onlyIfCached: values.has('only-if-cached'),
    mustRevalidate: values.has('must-revalidate'),
    maxAge: least(values.get('max-age')),
    minFresh: greatest(values.get('min-fresh')),
    maxStale: maxStaleOf(values.get('max-stale')),
    staleIfError: least(values.get('stale-if-error')),
  };
}

/** Directives of a response; a duplicate number counts with its least value [RFC9111 §4.2.1]. */
export function parseResponseDirectives(field?: string | undefined): ResponseDirectives {
  if (field === undefined || field === '') return NO_RESPONSE_DIRECTIVES;
  const { values, complete } = readDirectives(field);
  return {
    // The qualified forms (`no-cache="set-cookie"`) count as the unqualified ones, as §5.2.2.4 and
    // §5.2.2.7 allow, for a cache of records, which cannot leave out single fields; a cache of
    // pages leaves out the fields that are named.
    noCache: values.has('no-cache'),
    noStore: values.has('no-store') || !complete || isSaidLoosely(field, 'no-store'),
    private: values.has('private') || isSaidLoosely(field, 'private'),
    public: values.has('public'),
    mustRevalidate: values.has('must-revalidate'),
    proxyRevalidate: values.has('proxy-revalidate'),
    immutable: values.has('immutable'),
    mustUnderstand: values.has('must-understand') || undefined,
    noCacheFields: qualified(values.get('no-cache')),
    privateFields: qualified(values.get('private')),
    maxAge: least(values.get('max-age')),
    sMaxage: least(values.get('s-maxage')),
    staleWhileRevalidate: least(values.get('stale-while-revalidate')),
    staleIfError: least(values.get('stale-if-error')),
  };
}

/**
 * Whether a prohibition stands where no directive can: behind a semicolon or a space, or within a
 * quoted text without an end. Who wrote it meant it.
 */
function isSaidLoosely(field: string, name: 'no-store' | 'private'): boolean {
  const at = field.toLowerCase().indexOf(name);
  if (at < 0) return false;
  const bare = field.replace(/=\s*"(?:[^"\\]|\\.)*"/g, '=""');
  return bare.split(/[\s,;"]+/).some((word) => word.toLowerCase() === name);
}

/** The fields that a directive is limited to; `undefined` when it stands for the whole reply. */
function qualified(found: Arguments | undefined): readonly string[] | undefined {
  if (found === undefined || found.some((argument) => argument === undefined)) return undefined;
  const names = found
    .flatMap((argument) => (argument ?? '').split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  return names.length === 0 ? undefined : names;
}

type Arguments = readonly (string | undefined)[];

/** Every directive by its lower-case name; `complete` is false when the bound cut the list. */
function readDirectives(field: string): {
  readonly values: ReadonlyMap<string, Arguments>;
  readonly complete: boolean;
} {
  const values = new Map<string, (string | undefined)[]>();
  let at = 0;
  let count = 0;
  while (at < field.length && count < DIRECTIVES_MAX) {
    DIRECTIVE.lastIndex = at;
    const found = DIRECTIVE.exec(field);
    if (found === null) {
      at += 1;
      continue;
    }
    const name = (found[1] ?? '').toLowerCase();
    const argument = found[2]?.replace(/\\(.)/g, '$1') ?? found[3];
    const others = values.get(name);
    if (others === undefined) values.set(name, [argument]);
    else others.push(argument);
    at = afterComma(field, DIRECTIVE.lastIndex);
    count += 1;
  }
  return { values, complete: at >= field.length };
}

/** Where the next directive may begin: garbage behind an argument belongs to that argument. */
function afterComma(field: string, from: number): number {
  const comma = field.indexOf(',', from);
  return comma === -1 ? field.length : comma + 1;
}

/** A number that cannot be read is 0, that is, stale [RFC9111 §4.2.1]. */
function seconds(argument: string | undefined): number {
  if (argument === undefined || !/^[0-9]+$/.test(argument)) return 0;
  return Math.min(Number(argument), DELTA_SECONDS_MAX);
}

function least(found: Arguments | undefined): DeltaSeconds | undefined {
  return found === undefined ? undefined : deltaSeconds(Math.min(...found.map(seconds)));
}

/** The demanding end of `min-fresh`: one that cannot be read is met by nothing. */
function greatest(found: Arguments | undefined): DeltaSeconds | undefined {
  if (found === undefined) return undefined;
  const readable = found.map((argument) =>
    argument !== undefined && /^[0-9]+$/.test(argument) ? seconds(argument) : DELTA_SECONDS_MAX,
  );
  return deltaSeconds(Math.max(...readable));
}

/** Without an argument a stale response of any age will do [RFC9111 §5.2.1.2]. */
function maxStaleOf(found: Arguments | undefined): DeltaSeconds | undefined {
  if (found === undefined) return undefined;
  const bounds = found.map((argument) =>
    argument === undefined ? Number.POSITIVE_INFINITY : seconds(argument),
  );
  return deltaSeconds(Math.min(...bounds));
}
