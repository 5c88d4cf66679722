/**
 * What several servers of one Next.js application share, in two tables of a node:
 *
 *   NextCache   an entry under `<build>/<key>` (data under `data/<key>`, whatever the build): bytes
 *   NextTag     a record for each tag that was revalidated, and one which names the newest build
 *
 * An entry names in `Cache-Groups` the records it was made from and its tags, as the records of
 * `NextTag` they are. So the write of a tag, or of a record that a page showed, makes every entry
 * and every cached page that names it unusable, in one commit, on every thread, for every server;
 * nothing is searched and nobody polls.
 *
 * Each entry names its tags as they were when it was begun, by the node's clock: one whose tag was
 * revalidated meanwhile is stored outdated. Nothing here rejects: without a node there is no cache.
 */
import { createHash, randomUUID } from 'node:crypto';
import { epochMs, recordVersion } from '../base/brands.ts';
import { parseCacheGroups } from '../cache/reply-fields.ts';
import {
  formatCacheGroups,
  parseRecordGroup,
  type RecordGroup,
  recordGroup,
  versionBefore,
} from '../table/record-groups.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import { type NodeAnswer, NodeClient, type NodeRequest } from './node-client.ts';
import type { NextCacheSettings } from './settings.ts';

/** Tags are in headers: a long one is known by its hash. */
const KEY_CHARS_MAX = 512;
const TAG_CHARS_MAX = 96;
const QUERY_CHARS_MAX = 2_000;
/** Where a table is missing its path is a page's: the renderer would be asking itself. */
const ONLY_HERE = { 'cache-control': 'only-if-cached' };
/** Revalidations remembered for a node that is away, and how often it is told again. */
const OWED_MAX = 10_000;
const REPEAT_MS = 1_000;
const REPEAT_MS_MAX = 30_000;
/** Tags asked for together. */
const TAGS_MAX = 512;
const ENTRY_TYPE = 'application/vnd.millrace.next-entry';
const BUILD_RECORD = 'build:current';

/** What is kept of an entry besides its value. */
export interface KeptEntry {
  readonly groups: readonly string[];
  readonly entry: unknown;
}

/** What is known of tags at an instant. */
export interface TagState {
  /** When the newest of them was revalidated; 0: none is known to have been. */
  readonly revalidated: number;
  /** The instant itself: no later change is older. */
  readonly seen: number;
}

export interface Keep {
  readonly groups: readonly string[];
  readonly entry: object;
  readonly lifetimeSeconds: number | undefined;
}

export class NodeStore {
  readonly #settings: NextCacheSettings;
  readonly #client: NodeClient;
  #complaints = 0;
  /** Tags whose revalidation the node has not heard of: until it has, nothing of it is believed. */
  readonly #owed = new Set<string>();
  #repeat: NodeJS.Timeout | undefined;
  #repeatMs = REPEAT_MS;

  constructor(settings: NextCacheSettings) {
    const { url, authorization, timeoutMs, entryBytesMax } = settings;
    this.#settings = settings;
    // The head of an entry, and the JSON around it, come on top.
    this.#client = new NodeClient({ url, authorization, timeoutMs, bytesMax: entryBytesMax * 2 });
  }

  async get(id: string): Promise<KeptEntry | undefined> {
    if (this.#owed.size > 0) return undefined;
    const path = this.#entryPath(id);
    const answer = await this.#ask({ method: 'GET', path, headers: ONLY_HERE }, [200, 404]);
    return answer?.status === 200 ? keptOf(decodeEntry(answer.body)) : undefined;
  }

  async put(id: string, { groups, entry, lifetimeSeconds }: Keep): Promise<void> {
    const { entryBytesMax } = this.#settings;
    const body = encodeEntry({ groups, entry });
    if (body.length > entryBytesMax) {
      return this.#complain(id, `its ${body.length} bytes are more than ${entryBytesMax}`);
    }
    const headers: Record<string, string> = { 'content-type': ENTRY_TYPE };
    if (groups.length > 0) headers['cache-groups'] = formatCacheGroups(groups);
    if (lifetimeSeconds !== undefined) headers['cache-control'] = `max-age=${lifetimeSeconds}`;
    await this.#ask({ method: 'PUT', path: this.#entryPath(id), headers, body }, [200, 201, 204]);
  }

  /**
   * Resolves when what names the tags can no longer be served anywhere; or when the node is away,
   * and then it is told once it is back.
   */
  async revalidate(tags: readonly string[]): Promise<void> {
    await Promise.all(
      tags.map(async (tag) => {
        const answer = await this.#writeTag(tag, randomUUID());
        if (answer !== undefined) this.#owed.delete(tag);
        else if (this.#owed.size < OWED_MAX) this.#owed.add(tag);
      }),
    );
    if (this.#owed.size === 0) this.#repeatMs = REPEAT_MS;
    if (this.#owed.size === 0 || this.#repeat !== undefined) return;
    this.#repeat = setTimeout(() => {
      this.#repeat = undefined;
      void this.revalidate([...this.#owed]);
    }, this.#repeatMs);
    this.#repeat.unref();
    this.#repeatMs = Math.min(this.#repeatMs * 2, REPEAT_MS_MAX);
  }

  /**
   * How tags stand now. Instants are versions of records, by the node's clock: servers whose own
   * clocks differ agree on them. `undefined` when the node is away.
   */
  async tagState(tags: readonly string[]): Promise<TagState | undefined> {
    const asked = tags.length === 0 ? [BUILD_RECORD] : tags.slice(0, TAGS_MAX);
    const states = await Promise.all(queriesFor(asked).map((query) => this.#tagsNow(query)));
    let state: TagState | undefined;
    for (const one of states) {
      if (one === undefined) return undefined;
      state = {
        seen: Math.min(one.seen, state?.seen ?? one.seen),
        revalidated: Math.max(one.revalidated, state?.revalidated ?? 0),
      };
    }
    return tags.length === 0 && state !== undefined ? { ...state, revalidated: 0 } : state;
  }

  async #tagsNow(query: string): Promise<TagState | undefined> {
    const path = `/${this.#settings.tags}/?${query}&select(id,at)`;
    const headers = { ...ONLY_HERE, 'millrace-groups': '1' };
    const answer = await this.#ask({ method: 'GET', path, headers }, [200]);
    const seen = groupsOf(answer).find(({ id }) => id === undefined)?.version;
    if (answer === undefined || seen === undefined) return undefined;
    return { seen, revalidated: newestOf(answer.body) };
  }

  /**
   * Says which build is the newest, unless that is known; the group that pages of it name. The
   * write makes stale what pages of other builds the cache before the renderer holds.
   */
  async announce(build: string): Promise<string | undefined> {
    const path = this.#tagPath(BUILD_RECORD);
    const headers = { ...ONLY_HERE, 'millrace-groups': '1' };
    const read = () => this.#askQuietly({ method: 'GET', path, headers });
    let answer = await read();
    if (answer === undefined) return undefined;
    if (answer.status === 404 || textOf(answer, 'by') !== build) {
      if ((await this.#writeTag(BUILD_RECORD, build)) === undefined) return undefined;
      answer = await read();
    }
    const version = groupsOf(answer)[0]?.version;
    return version && recordGroup(this.#settings.tags, BUILD_RECORD, version);
  }

  get buildGroup(): string {
    return recordGroup(this.#settings.tags, BUILD_RECORD);
  }

  /** The groups of tags as they were at an instant. */
  tagGroups(tags: readonly string[], seen: number): string[] {
    const version = recordVersion(seen);
    return tags.map((tag) => recordGroup(this.#settings.tags, tagId(tag), version));
  }

  #writeTag(tag: string, by: string): Promise<NodeAnswer | undefined> {
    const path = this.#tagPath(tag);
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ by });
    return this.#ask({ method: 'PUT', path, headers, body }, [200, 201, 204]);
  }

  #entryPath(id: string): string {
    return `/${this.#settings.entries}/${encodeURIComponent(shortened(id))}`;
  }

  #tagPath(tag: string): string {
    return `/${this.#settings.tags}/${encodeURIComponent(tagId(tag))}`;
  }

  /** `undefined` when the node is away, or answers otherwise than it should. */
  async #ask(request: NodeRequest, good: readonly number[]): Promise<NodeAnswer | undefined> {
    try {
      const answer = await this.#client.ask(request);
      if (good.includes(answer.status)) return answer;
      this.#complain(`${request.method} ${request.path}`, this.#refusal(answer));
    } catch (error) {
      this.#complain('the node', error instanceof Error ? error.message : String(error));
    }
    return undefined;
  }

  #refusal({ status, body }: NodeAnswer): string {
    const { entries, tags } = this.#settings;
    const isMissing = status === 504 || status === 405 || status === 404;
    const hint = isMissing ? ` (are ${entries} and ${tags} exported in schema.graphql?)` : '';
    return `${status}${hint}: ${body.toString('utf8', 0, 300)}`;
  }

  /** At a start the node may not be there yet: that is no news, but a refusal is. */
  async #askQuietly(request: NodeRequest): Promise<NodeAnswer | undefined> {
    const isThere = await this.#client.ask(request).then(
      () => true,
      () => false,
    );
    return isThere ? this.#ask(request, [200, 404]) : undefined;
  }

  /** A few times, then once in a while: a node that is away must not fill the log. */
  #complain(what: string, why: string): void {
    this.#complaints += 1;
    if (this.#complaints > 5 && this.#complaints % 1000 !== 0) return;
    this.#settings.onFault(`millrace/next: ${what} goes without the cache: ${why}`);
  }
}

/**
 * A key of Next.js may have any length; a long one is known by its hash. What counts is how long it
 * is in a request's head, of which some engines take 4 KiB.
 */
function shortened(id: string, max = KEY_CHARS_MAX): string {
  if (encodeURIComponent(id).length <= max) return id;
  const kept = id.slice(0, max / 16).replaceAll(/[^\w/.:-]/g, '_');
  return `${kept}~${createHash('sha256').update(id).digest('base64url')}`;
}

/** Queries that name these tags, each short enough for a request's head. */
function queriesFor(tags: readonly string[]): readonly string[] {
  const queries: string[] = [];
  for (const tag of tags) {
    const term = `id=${encodeURIComponent(tagId(tag))}`;
    const last = queries.at(-1);
    if (last === undefined || last.length + term.length >= QUERY_CHARS_MAX) queries.push(term);
    else queries[queries.length - 1] = `${last}|${term}`;
  }
  return queries;
}

const tagId = (tag: string): string => shortened(tag, TAG_CHARS_MAX);

function keptOf(value: unknown): KeptEntry | undefined {
  if (typeof value !== 'object' || value === null || !('entry' in value)) return undefined;
  const { groups } = value as { groups?: unknown };
  return { entry: value.entry, groups: Array.isArray(groups) ? groups.map(String) : [] };
}

/** The version of the newest row: `at` is the instant of its last write, in milliseconds. */
function newestOf(body: Buffer): number {
  const rows = parsed(body);
  const times = Array.isArray(rows) ? rows.map((row: { at?: unknown }) => Number(row?.at)) : [];
  const newest = Math.max(0, ...times.filter(Number.isFinite));
  return newest === 0 ? 0 : versionBefore(epochMs(newest + 1));
}

const groupsOf = (answer: NodeAnswer | undefined): RecordGroup[] =>
  parseCacheGroups(answer?.header('cache-groups') ?? '').flatMap(
    (group) => parseRecordGroup(group) ?? [],
  );

const textOf = ({ body }: NodeAnswer, name: string): unknown => {
  const value = parsed(body);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : 0;
};

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
