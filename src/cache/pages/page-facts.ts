/**
 * The facts of a page's reply: those of every reply, with targeted cache control [RFC9213] in the
 * place of `Cache-Control` and `Expires` when there is some, and what only pages have.
 */
import { type DeltaSeconds, deltaSeconds, type EpochMs } from '../../base/brands.ts';
import {
  NO_RESPONSE_DIRECTIVES,
  parseResponseDirectives,
  type ResponseDirectives,
} from '../directives.ts';
import type { ReplyFacts } from '../ports.ts';
import { factsOfFields } from '../reply-fields.ts';
import { fieldOf } from './fields.ts';
import type { FieldLines } from './ports.ts';
import { type BareItem, parseDictionary } from './structured-fields.ts';

export interface PageFacts extends ReplyFacts {
  readonly setsCookie: boolean;
  readonly contentLanguage: string | undefined;
  /** Its body is compressed. */
  readonly isCoded: boolean;
}

/** Group names of one reply that are kept. */
const GROUPS_MAX = 256;

export interface Head {
  readonly status: number;
  readonly fields: FieldLines;
  readonly requestedAt: EpochMs;
  readonly receivedAt: EpochMs;
}

export function pageFacts(head: Head, groupsFrom: readonly string[]): PageFacts {
  const field = (name: string) => fieldOf(head.fields, name);
  const { requestedAt, receivedAt } = head;
  const times = { requestedAt, receivedAt };
  const facts = factsOfFields(head.status, field, times, { from: groupsFrom, max: GROUPS_MAX });
  const targeted = targetedDirectives(field('cdn-cache-control'));
  return {
    ...facts,
    // [RFC9213 §2.2] One valid targeted field takes the place of everything else.
    ...(targeted === undefined ? {} : { expires: undefined }),
    directives: unqualified(targeted ?? facts.directives),
    setsCookie: field('set-cookie') !== undefined || field('set-cookie2') !== undefined,
    contentLanguage: field('content-language')?.toLowerCase(),
    isCoded: (field('content-encoding') ?? 'identity') !== 'identity',
  };
}

/** `no-cache="f"` and `private="f"` are about their fields, which are not stored, only. */
function unqualified(directives: ResponseDirectives): ResponseDirectives {
  const { noCacheFields, privateFields } = directives;
  if (noCacheFields === undefined && privateFields === undefined) return directives;
  return {
    ...directives,
    noCache: directives.noCache && noCacheFields === undefined,
    private: directives.private && privateFields === undefined,
  };
}

/**
 * `CDN-Cache-Control`, a dictionary [RFC9213 §2.1]. An empty field, one which does not parse, or
 * one whose member has the wrong type is ignored as a whole.
 */
export function targetedDirectives(field: string | undefined): ResponseDirectives | undefined {
  const members = field === undefined ? undefined : parseDictionary(field);
  if (members === undefined || members.size === 0) return undefined;
  for (const name of SECONDS) if (!isSeconds(members.get(name))) return undefined;
  const flags = FLAGS.filter((name) => isSet(members.get(name)));
  const told = SECONDS.map((name) => [name, secondsOf(members.get(name))] as const);
  const texts = told.filter(([, value]) => value !== undefined);
  if (flags.length + texts.length === 0) return NO_RESPONSE_DIRECTIVES;
  const lists = QUALIFIED.flatMap((name) => {
    const item = members.get(name);
    return item?.kind === 'text' ? [`${name}="${item.value.replace(/["\\]/g, '')}"`] : [];
  });
  const bare = flags.filter((name) => members.get(name)?.kind !== 'text');
  const line = [...bare, ...lists, ...texts.map(([name, value]) => `${name}=${value}`)].join(', ');
  return parseResponseDirectives(line);
}

const SECONDS = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'] as const;
const QUALIFIED = ['no-cache', 'private'] as const;
const FLAGS = [
  'no-cache',
  'no-store',
  'private',
  'public',
  'must-revalidate',
  'proxy-revalidate',
  'must-understand',
  'immutable',
] as const;

const isSeconds = (item: BareItem | undefined): boolean =>
  item === undefined || (item.kind === 'number' && item.isInteger && item.value >= 0);

const isSet = (item: BareItem | undefined): boolean =>
  item !== undefined && !(item.kind === 'boolean' && !item.value);

const secondsOf = (item: BareItem | undefined): DeltaSeconds | undefined =>
  item?.kind === 'number' ? deltaSeconds(item.value) : undefined;
