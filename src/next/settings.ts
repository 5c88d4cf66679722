/**
 * Where the node is and how it is asked, from options or the environment of the renderer. A node
 * gives the renderer that it runs `MILLRACE_URL`; credentials are the renderer's own affair.
 */

export interface NextCacheOptions {
  /** The app port of the node; `MILLRACE_URL` by default. Without either nothing is kept. */
  readonly url?: string | undefined;
  /** `NEXT_CACHE_USERNAME` and `NEXT_CACHE_PASSWORD`, or `NEXT_CACHE_TOKEN`, by default. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** The exported tables of the node: entries, and revalidated tags. */
  readonly entries?: string | undefined;
  readonly tags?: string | undefined;
  /** Entries of another build are not used; read from `.next/BUILD_ID` by default. */
  readonly buildId?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly entryBytesMax?: number | undefined;
  /** Told why something went without the cache; a warning of the process by default. */
  readonly onFault?: ((message: string) => void) | undefined;
}

export interface NextCacheSettings {
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly entries: string;
  readonly tags: string;
  readonly timeoutMs: number;
  readonly entryBytesMax: number;
  readonly onFault: (message: string) => void;
}

const TIMEOUT_MS = 2_000;
const ENTRY_BYTES_MAX = 8 * 1024 * 1024;
const BUILDING = 'phase-production-build';

/** `undefined` when there is nothing to keep entries in: no URL, or `next build` runs. */
export function settingsOf(options: NextCacheOptions): NextCacheSettings | undefined {
  const url = options.url ?? process.env.MILLRACE_URL;
  if (url === undefined || url === '' || process.env.NEXT_PHASE === BUILDING) return undefined;
  if (!URL.canParse(url)) {
    throw new TypeError(
      `millrace/next: url: ${JSON.stringify(url)} is none; give http://host:port`,
    );
  }
  return {
    url: new URL(url),
    authorization: authorizationOf(options),
    entries: options.entries ?? 'NextCache',
    tags: options.tags ?? 'NextTag',
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    entryBytesMax: options.entryBytesMax ?? ENTRY_BYTES_MAX,
    onFault: options.onFault ?? ((message) => process.emitWarning(message, 'MillraceWarning')),
  };
}

function authorizationOf(options: NextCacheOptions): string | undefined {
  const { NEXT_CACHE_TOKEN, NEXT_CACHE_USERNAME, NEXT_CACHE_PASSWORD } = process.env;
  const token = options.token ?? NEXT_CACHE_TOKEN;
  if (token !== undefined) return `Bearer ${token}`;
  const username = options.username ?? NEXT_CACHE_USERNAME;
  const password = options.password ?? NEXT_CACHE_PASSWORD;
  if (username === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
