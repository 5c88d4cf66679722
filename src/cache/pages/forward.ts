/**
 * What goes to the origin for a client's request. Under `key.forward: listed` a page is asked for
 * with the fields of the key and of `vary.allow` only; requests that cannot be cached, and all
 * under `all`, keep their end-to-end fields. Conditions and ranges are the cache's own business,
 * and no field that frames a message is taken from a client. Pure.
 */
import { formatHttpDate } from '../../base/http-date.ts';
import type { Entry } from '../entry.ts';
import type { PolicySettings } from '../policy.ts';
import { listedCookies } from './cache-key.ts';
import { endToEnd, fieldOf, filterFields } from './fields.ts';
import type { FieldLines } from './ports.ts';
import { decodeFields } from './stored-fields.ts';
import { acceptedCodings, normalised } from './vary.ts';

export interface ClientFacts {
  readonly host: string;
  readonly scheme: 'http' | 'https';
  readonly address: string;
}

const OWN_BUSINESS: ReadonlySet<string> = new Set([
  'content-length',
  'expect',
  'host',
  'http2-settings',
]);
const CONDITIONS: ReadonlySet<string> = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]);

/** Fields for a request that the cache has no part in. */
export function passedFields(fields: FieldLines, client: ClientFacts): string[] {
  const goesOn = endToEnd(fields);
  const kept = filterFields(fields, (name) => goesOn(name) && !OWN_BUSINESS.has(name));
  return withTrace(kept, client);
}

/** Fields for a page that may be stored. */
export function pageFields(
  fields: FieldLines,
  client: ClientFacts,
  settings: PolicySettings,
): string[] {
  const { key } = settings;
  if (key.forward === 'listed') return withTrace(listedFields(fields, settings), client);
  const goesOn = endToEnd(fields);
  const kept = filterFields(
    fields,
    (name) => goesOn(name) && !OWN_BUSINESS.has(name) && !CONDITIONS.has(name),
  );
  return withTrace(withNormalCodings(kept), client);
}

function listedFields(fields: FieldLines, { key, vary }: PolicySettings): string[] {
  const kept: string[] = [];
  for (const name of new Set([...key.headers, ...vary.allow])) {
    const value = fieldOf(fields, name);
    if (value === undefined || name === 'cookie') continue;
    kept.push(name, key.headers.includes(name) ? value : sentAs(name, value));
  }
  const cookie = listedCookies(fieldOf(fields, 'cookie'), key.cookies);
  return cookie === undefined ? kept : [...kept, 'cookie', cookie];
}

/**
 * The fields on which a page may depend that is to be fetched by another node: it adds the trace
 * itself. `undefined` when credentials go to the origin as they came: those stay on this node.
 */
export function fieldsForPeer(
  fields: FieldLines,
  settings: PolicySettings,
): readonly string[] | undefined {
  if (settings.key.forward === 'listed') return listedFields(fields, settings);
  if (CREDENTIALS.some((name) => fieldOf(fields, name) !== undefined)) return undefined;
  const goesOn = endToEnd(fields);
  return filterFields(
    fields,
    (name) => goesOn(name) && !OWN_BUSINESS.has(name) && !CONDITIONS.has(name),
  );
}

const CREDENTIALS = ['authorization', 'cookie', 'proxy-authorization'] as const;

/** Languages keep the form in which they came: their normal form is not theirs to be sent. */
const sentAs = (name: string, value: string): string =>
  name === 'accept-language' ? value : normalised(name, value);

function withNormalCodings(fields: string[]): string[] {
  return fields.map((text, at) =>
    at % 2 === 1 && fields[at - 1] === 'accept-encoding' ? acceptedCodings(text) : text,
  );
}

/** [RFC9110 §7.6.3], [RFC7239] and the names that were there before it. */
function withTrace(fields: string[], { host, scheme, address }: ClientFacts): string[] {
  const before = fieldOf(fields, 'x-forwarded-for');
  const via = fieldOf(fields, 'via');
  const forwarded = fieldOf(fields, 'forwarded');
  const kept = filterFields(fields, (name) => !TRACE.has(name));
  const node = address.includes(':') ? `"[${address}]"` : address;
  const hop = `for=${node};host="${host.replace(/["\\]/g, '')}";proto=${scheme}`;
  kept.push('via', via === undefined ? '1.1 millrace' : `${via}, 1.1 millrace`);
  kept.push('x-forwarded-for', before === undefined ? address : `${before}, ${address}`);
  kept.push('x-forwarded-host', host, 'x-forwarded-proto', scheme);
  kept.push('forwarded', forwarded === undefined ? hop : `${forwarded}, ${hop}`);
  return kept;
}

const TRACE: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

/** The condition under which the origin need not send the page again [RFC9111 §4.3.1]. */
export function validators(entry: Entry): string[] {
  const { originTag, lastModified, fieldLines } = entry.meta;
  const fields: string[] = [];
  if (originTag !== undefined) fields.push('if-none-match', originTag);
  if (lastModified !== undefined) {
    const told = fieldOf(decodeFields(fieldLines), 'last-modified');
    fields.push('if-modified-since', told ?? formatHttpDate(lastModified));
  }
  return fields;
}
