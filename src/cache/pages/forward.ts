/**
 * What goes to the origin for a client's request. Under `key.forward: listed` a page is asked for
 * with the fields of the key and of `vary.allow` only; requests that cannot be cached, and all
 * under `all`, keep their end-to-end fields. Conditions and ranges are the cache's own business,
 * and no field that frames a message is taken from a client. Pure.
 */
import { formatHttpDate } from '../../base/http-date.ts';
import type { Entry } from '../entry.ts';
import type { PolicySettings } from '../policy.ts';
import { listedCookies, type Scheme } from './cache-key.ts';
import { endToEnd, fieldOf, filterFields } from './fields.ts';
import type { FieldLines } from './ports.ts';
import { decodeFields } from './stored-fields.ts';
import { acceptedCodings, normalised, sentLanguages } from './vary.ts';

export interface ClientFacts {
  readonly host: string;
  /** Of the client, which a proxy in front may have told. */
  readonly scheme: Scheme;
  readonly address: string;
  /** This node's own id of the request. */
  readonly requestId?: string | undefined;
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
  return withTrace(withNormalCodings(allFields(fields, settings)), client);
}

/** What the origin may be told by clients. */
export const chosenFields = ({ key, vary }: PolicySettings): string[] => [
  ...key.headers,
  ...vary.allow,
];

function listedFields(fields: FieldLines, settings: PolicySettings): string[] {
  const { key } = settings;
  const kept: string[] = [];
  for (const name of new Set(chosenFields(settings))) {
    const value = fieldOf(fields, name);
    // The key does not tell an empty field from none.
    if (value === undefined || value === '' || name === 'cookie') continue;
    const sent = key.headers.includes(name) ? value : sentAs(name, value);
    if (sent !== undefined) kept.push(name, sent);
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
  return allFields(fields, settings);
}

const CREDENTIALS = ['authorization', 'cookie', 'proxy-authorization'] as const;

/** `Connection: x` takes no field from the origin by whose value the page is stored. */
function allFields(fields: FieldLines, settings: PolicySettings): string[] {
  const goesOn = endToEnd(fields);
  const keyed = new Set(chosenFields(settings));
  return filterFields(
    fields,
    (name) => (goesOn(name) || keyed.has(name)) && !OWN_BUSINESS.has(name) && !CONDITIONS.has(name),
  );
}

/** In the form that all have in common who are answered with the same variant. */
const sentAs = (name: string, value: string): string | undefined =>
  name === 'accept-language' ? sentLanguages(value) : normalised(name, value);

function withNormalCodings(fields: string[]): string[] {
  return fields.map((text, at) =>
    at % 2 === 1 && fields[at - 1] === 'accept-encoding' ? acceptedCodings(text) : text,
  );
}

/** [RFC9110 §7.6.3], [RFC7239] and the names that were there before it. */
function withTrace(fields: string[], { host, scheme, address, requestId }: ClientFacts): string[] {
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
  if (requestId !== undefined && fieldOf(fields, 'x-request-id') === undefined) {
    kept.push('x-request-id', requestId);
  }
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
