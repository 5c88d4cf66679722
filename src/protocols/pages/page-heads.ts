/**
 * The heads of stored pages as they go out: the stored lines, and what the policy tells downstream
 * in the place of some of them. Those of pages that are read again and again are kept composed, so
 * that a hit decodes and splits nothing; a page that is stored anew has another version.
 *
 * Bounds: a number of heads, none of them large; the one that was composed first gives way.
 */
import type { Entry } from '../../cache/entry.ts';
import { filterFields } from '../../cache/pages/fields.ts';
import { decodeFields } from '../../cache/pages/stored-fields.ts';
import { UNNUMBERED } from '../../cache/plain-entry.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import { mayEncode, varyingByCoding } from './page-encodings.ts';

const HEADS_MAX = 4_096;
const HEAD_CHARS_MAX = 4_096;

export interface PageHead {
  /** As stored. */
  readonly lines: readonly string[];
  /** As told, without what differs from answer to answer. */
  readonly told: readonly string[];
  /** The page may have compressed forms. */
  readonly mayEncode: boolean;
}

interface KeptHead extends PageHead {
  readonly id: Entry['id'];
  readonly author: Entry['author'];
  readonly policy: CachePolicy;
}

export class PageHeads {
  /** Version of the entry → its head. */
  readonly #kept = new Map<number, KeptHead>();

  of(entry: Entry, policy: CachePolicy): PageHead {
    const { version, id, author } = entry;
    const kept = this.#kept.get(version);
    if (kept !== undefined && kept.id === id && kept.author === author && kept.policy === policy) {
      return kept;
    }
    const text = entry.meta.fieldLines;
    const lines = decodeFields(text);
    const isInFile = entry.storedBody !== undefined;
    const isEncoded = !isInFile && mayEncode(entry.status, lines, entry.bodyLength, policy);
    const told = toldFields(isEncoded ? varyingByCoding(lines) : lines, policy, true);
    const head = { lines, told, mayEncode: isEncoded, id, author, policy };
    if (version === UNNUMBERED || (text?.length ?? 0) > HEAD_CHARS_MAX) return head;
    this.#kept.delete(version);
    this.#kept.set(version, head);
    if (this.#kept.size > HEADS_MAX) this.#dropOldest();
    return head;
  }

  #dropOldest(): void {
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** `isShared`: what the policy tells downstream holds for the reply. */
export function toldFields(
  lines: readonly string[],
  policy: CachePolicy,
  isShared: boolean,
): string[] {
  const { cacheControl, cdnCacheControl } = policy.settings.client;
  const own = isShared
    ? [...toldAs('cache-control', cacheControl), ...toldAs('cdn-cache-control', cdnCacheControl)]
    : [];
  const kept = own.length === 0 ? lines : filterFields(lines, (name) => !own.includes(name));
  return [...kept, ...own, 'via', '1.1 millrace'];
}

const toldAs = (name: string, value: string): string[] => (value === '' ? [] : [name, value]);
