/**
 * A handler of `cacheHandlers` in Next.js 16: what functions and components under `use cache` give,
 * kept in a Millrace node beside the entries of `createCacheHandler`, under the same tags.
 */
import { epochMs } from '../base/brands.ts';
import { GroupSet } from '../render/group-set.ts';
import { currentScope } from '../render/scope.ts';
import { versionBefore } from '../table/record-groups.ts';
import { entryGroups } from './entry-groups.ts';
import { NodeStore } from './node-store.ts';
import { type NextCacheOptions, settingsOf } from './settings.ts';

export interface UseCacheEntry {
  readonly value: ReadableStream<Uint8Array>;
  readonly tags: string[];
  readonly stale: number;
  readonly timestamp: number;
  readonly expire: number;
  readonly revalidate: number;
}

export interface UseCacheHandler {
  get(key: string, softTags: string[]): Promise<UseCacheEntry | undefined>;
  set(key: string, pending: Promise<UseCacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: string[]): Promise<number>;
  updateTags(tags: string[], durations?: unknown): Promise<void>;
}

/** JSON has no infinity: an entry without an end has none here either. */
type StoredEntry = Omit<UseCacheEntry, 'value' | 'expire'> & {
  readonly value: Uint8Array;
  readonly expire: number | null;
};

/** Kept while they are being made; another read of the key waits for the first. */
const PENDING_MAX = 1_000;

export function createUseCacheHandler(options: NextCacheOptions = {}): UseCacheHandler {
  const settings = settingsOf(options);
  const store = settings === undefined ? undefined : new NodeStore(settings);
  const pending = new Map<string, Promise<void>>();
  return {
    async get(key) {
      await pending.get(key);
      const kept = await store?.get(idOf(key));
      if (kept === undefined) return undefined;
      currentScope()?.read(kept.groups);
      const entry = kept.entry as StoredEntry;
      return { ...entry, expire: entry.expire ?? Infinity, value: streamOf(entry.value) };
    },
    async set(key, making) {
      // It may fail while the node is asked.
      making.catch(() => undefined);
      const keeping = keep(store, key, making).catch(() => undefined);
      if (pending.size < PENDING_MAX) pending.set(key, keeping);
      await keeping;
      if (pending.get(key) === keeping) pending.delete(key);
    },
    async refreshTags() {
      // Each entry is judged by the node when it is read: there is nothing to fetch beforehand.
    },
    async getExpiration(tags) {
      const state = await store?.tagState(tags);
      return state === undefined ? 0 : Math.ceil(state.revalidated / VERSIONS_PER_MS);
    },
    async updateTags(tags) {
      await store?.revalidate(tags);
    },
  };
}

/** Versions of records count milliseconds in steps of this. */
const VERSIONS_PER_MS = versionBefore(epochMs(2)) - versionBefore(epochMs(1));

const idOf = (key: string): string => `use-cache/${key}`;

async function keep(
  store: NodeStore | undefined,
  key: string,
  making: Promise<UseCacheEntry>,
): Promise<void> {
  // Asked before the entry is there: what changes while it is made counts against it.
  const state = await store?.tagState([]);
  const entry = await making;
  const value = Buffer.from(await new Response(entry.value).arrayBuffer());
  if (store === undefined || state === undefined || entry.expire === 0) return;
  // Its instants have fractions; versions have none.
  const since = versionBefore(epochMs(Math.floor(entry.timestamp)));
  const began = Math.min(state.seen, since);
  const groups = new GroupSet();
  groups.add(currentScope()?.groups.names() ?? []);
  groups.add(store.tagGroups(entry.tags, began));
  const names = entryGroups(groups, began);
  if (names === undefined) return;
  const lifetimeSeconds = Number.isFinite(entry.expire)
    ? Math.max(1, Math.ceil(entry.expire))
    : undefined;
  await store.put(idOf(key), { groups: names, entry: { ...entry, value }, lifetimeSeconds });
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
