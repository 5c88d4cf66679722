/**
 * `cacheHandler` of Next.js 16: ISR pages, route handlers, the data cache and images, kept in a
 * Millrace node and shared by every server of the application. `revalidateTag` and
 * `revalidatePath` write a record for the tag, which ends every entry and every cached page that
 * names it.
 *
 * An entry whose tag was revalidated, or whose records changed, is a miss: it is made anew before
 * it is answered. Serving stale meanwhile is for the page cache before the renderer, by its policy.
 * Without a node every read is a miss and every write is lost: Next.js renders.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCacheGroups } from '../cache/reply-fields.ts';
import { GroupSet } from '../render/group-set.ts';
import { currentScope } from '../render/scope.ts';
import { entryGroups } from './entry-groups.ts';
import { NodeStore, type TagState } from './node-store.ts';
import { type NextCacheOptions, settingsOf } from './settings.ts';

/** What Next.js says to a handler, as far as it is used here. */
interface GetContext {
  readonly kind?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly softTags?: readonly string[] | undefined;
}

interface SetContext {
  readonly fetchCache?: boolean | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly cacheControl?: { readonly expire?: number | undefined } | undefined;
}

interface CacheValue {
  readonly kind?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly data?: { readonly headers?: Readonly<Record<string, string>> | undefined } | undefined;
}

export interface NextCacheEntry {
  readonly lastModified: number;
  readonly value: CacheValue | null;
  readonly cacheControl?: SetContext['cacheControl'];
}

export interface NextCacheHandler {
  get(key: string, context: GetContext): Promise<NextCacheEntry | null>;
  set(key: string, value: CacheValue | null, context: SetContext): Promise<void>;
  revalidateTag(tags: string | readonly string[], durations?: unknown): Promise<void>;
  resetRequestCache(): void;
}

export type NextCacheHandlerClass = new (context?: {
  readonly serverDistDir?: string | undefined;
}) => NextCacheHandler;

type AskedState = Promise<TagState | undefined>;

/** What one handler remembers. It lives for one request, or longer where Next.js keeps it. */
const TAG_LISTS_MAX = 1_000;
const PAGES_MAX = 1_000;
const TAGS_BELIEVED_MS = 5_000;
const LIFETIME_SECONDS_MAX = 365 * 86_400;

/** The class which `cacheHandler` of `next.config` is to export by default. */
export function createCacheHandler(options: NextCacheOptions = {}): NextCacheHandlerClass {
  const settings = settingsOf(options);
  const store = settings === undefined ? undefined : new NodeStore(settings);
  let build = options.buildId;
  return class {
    readonly #entries: RequestEntries | undefined;

    constructor(context: { readonly serverDistDir?: string | undefined } = {}) {
      if (store === undefined) return;
      build ??= buildIdOf(context.serverDistDir);
      this.#entries = new RequestEntries(store, build);
    }

    async get(key: string, context: GetContext): Promise<NextCacheEntry | null> {
      return (await this.#entries?.get(key, context)) ?? null;
    }

    async set(key: string, value: CacheValue | null, context: SetContext): Promise<void> {
      await this.#entries?.set(key, value, context);
    }

    async revalidateTag(tags: string | readonly string[]): Promise<void> {
      await store?.revalidate([tags].flat());
    }

    resetRequestCache(): void {
      this.#entries?.reset();
    }
  };
}

/** Where Next.js left it; without one all builds are one. */
export function buildIdOf(serverDistDir = join('.next', 'server')): string {
  try {
    return readFileSync(join(serverDistDir, '..', 'BUILD_ID'), 'utf8').trim();
  } catch {
    return 'unknown-build';
  }
}

const isData = (kind: string | undefined): boolean => kind === 'FETCH';

class RequestEntries {
  readonly #store: NodeStore;
  readonly #build: string;
  /** How tags stood when this request asked, for each list of them. */
  readonly #tags = new Map<string, { readonly at: number; readonly state: AskedState }>();
  /** Since when each page that was not there is being made. */
  readonly #begun = new Map<string, number>();
  /** The first instant that the request knows of: what it makes is not older. */
  #began: number | undefined;

  constructor(store: NodeStore, build: string) {
    this.#store = store;
    this.#build = build;
  }

  reset(): void {
    this.#tags.clear();
    this.#begun.clear();
    this.#began = undefined;
  }

  async get(key: string, { kind, tags = [], softTags = [] }: GetContext) {
    const scope = currentScope();
    const [kept, state] = await Promise.all([
      this.#store.get(this.#idOf(key, isData(kind))),
      this.#stateOf(isData(kind) ? [...tags, ...softTags] : []),
    ]);
    const entry = kept?.entry as (NextCacheEntry & { readonly began: number }) | undefined;
    // Tags of the path that reads are not those of the path that wrote.
    const isGood = entry !== undefined && state !== undefined && state.revalidated <= entry.began;
    if (isGood) scope?.read(kept?.groups ?? []);
    if (!isData(kind)) {
      // A page is kept by itself: what it reads from here on, and not what stood there before it.
      scope?.beginPart();
      if (state !== undefined && this.#begun.size < PAGES_MAX) this.#begun.set(key, state.seen);
    }
    return isGood ? entry : null;
  }

  async set(key: string, value: CacheValue | null, context: SetContext): Promise<void> {
    const began = this.#begun.get(key) ?? this.#began;
    this.#begun.delete(key);
    // The node is away, or was when this was begun.
    if (began === undefined) return;
    const scope = currentScope();
    const isFetch = context.fetchCache === true || isData(value?.kind);
    const ofTags = this.#store.tagGroups(tagsOf(value, context), began);
    scope?.read(ofTags);
    const groups = new GroupSet();
    groups.add(isFetch ? fetchedGroups(value) : (scope?.part.names() ?? []));
    groups.add(ofTags);
    const names = entryGroups(groups, began);
    if (names === undefined) return;
    const { cacheControl } = context;
    await this.#store.put(this.#idOf(key, isFetch), {
      groups: names,
      entry: { lastModified: Date.now(), began, value, cacheControl },
      lifetimeSeconds: lifetimeOf(cacheControl?.expire),
    });
  }

  async #stateOf(tags: readonly string[]): Promise<TagState | undefined> {
    const key = tags.join('\n');
    const now = performance.now();
    let asked = this.#tags.get(key);
    if (asked === undefined || now - asked.at > TAGS_BELIEVED_MS) {
      asked = { at: now, state: this.#store.tagState([...new Set(tags)]) };
      if (this.#tags.size < TAG_LISTS_MAX) this.#tags.set(key, asked);
    }
    const state = await asked.state;
    if (state !== undefined) this.#began = Math.min(this.#began ?? state.seen, state.seen);
    return state;
  }

  /** Data outlives a build; pages name the scripts of theirs. */
  #idOf(key: string, isFetch: boolean): string {
    return isFetch ? `data/${key}` : `${this.#build}${key.startsWith('/') ? '' : '/'}${key}`;
  }
}

/** What the reply to a fetch was made from, as the node said. */
const fetchedGroups = (value: CacheValue | null): readonly string[] =>
  parseCacheGroups(value?.data?.headers?.['cache-groups'] ?? '');

function tagsOf(value: CacheValue | null, { tags = [] }: SetContext): readonly string[] {
  const told = value?.headers?.['x-next-cache-tags'];
  const ofPage = typeof told === 'string' ? told.split(',') : [];
  return [...new Set([...tags, ...(value?.tags ?? []), ...ofPage])].filter((tag) => tag !== '');
}

const lifetimeOf = (expire: number | undefined): number | undefined =>
  expire === undefined || !(expire > 0)
    ? undefined
    : Math.min(Math.ceil(expire), LIFETIME_SECONDS_MAX);
