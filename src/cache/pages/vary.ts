/**
 * Variants [RFC9111 §4.1]: the fields by which a reply varies, the values of a request brought to
 * a normal form, and the key made of both. Pure.
 *
 * `Accept-Language` and `Accept-Encoding` are sets with weights: order among equals, case and white
 * space mean nothing. What is no coding or language as the standards spell them is left out: it
 * would be a way to put something before the origin that no key tells of. Of any other field the
 * white space around commas is dropped, and lines are joined, unless it holds quoted text.
 */
import { membersOf } from './fields.ts';

/** No field value can hold it. */
export const BETWEEN = '\u001f';

export type FieldLookup = (name: string) => string | undefined;

/** The members of `Vary`, each once, in order of the alphabet. */
export const varyNames = (vary: readonly string[] | undefined): string[] =>
  [...new Set(vary ?? [])].sort();

/** The key of the variant which a request selects; '' when the reply does not vary. */
export function variantKey(names: readonly string[], field: FieldLookup): string {
  let key = '';
  for (const name of names) {
    const value = field(name);
    const text = value === undefined ? name : `${name}=${normalised(name, value)}`;
    key = key === '' ? text : `${key}${BETWEEN}${text}`;
  }
  return key;
}

/** The fields and values that a variant's key is made of; '' for a field that was not sent. */
export function variantFields(key: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    key.split(BETWEEN).map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)];
    }),
  );
}

export function normalised(name: string, value: string): string {
  if (name === 'accept-language') return languageSteps(value).map(inOrder).join('>');
  if (name === 'accept-encoding') return acceptedCodings(value);
  // A tab would end the variant's name where it is listed.
  const text = value.includes('\t') ? value.replaceAll('\t', ' ') : value;
  return text.includes('"') ? text.trim() : membersOf(text).join(',');
}

/** Those an origin may answer with for everybody: of others a client may have made up the names. */
const CODINGS: ReadonlySet<string> = new Set([
  'br',
  'compress',
  'deflate',
  'gzip',
  'identity',
  'x-compress',
  'x-gzip',
  'zstd',
]);

/** Codings with a weight above 0, in order of the alphabet: what an origin may choose from. */
export function acceptedCodings(value: string): string {
  const accepted = weighted(value).filter(
    ({ member, weight }) => weight > 0 && CODINGS.has(member),
  );
  return [...new Set(accepted.map(({ member }) => member))].sort().join(', ');
}

/**
 * The same languages as an origin is asked for them: in one spelling, and in the order in which
 * they came. `undefined` when none is named.
 */
export function sentLanguages(value: string): string | undefined {
  const steps = languageSteps(value);
  const sent = steps.flatMap((step, at) => {
    const weight = Math.round(1000 - (1000 * at) / steps.length) / 1000;
    return step.map((language) => {
      if (language.startsWith(REFUSED)) return `${inUsualCase(language.slice(1))};q=0`;
      return inUsualCase(language) + (weight === 1 ? '' : `;q=${weight}`);
    });
  });
  return sent.length === 0 ? undefined : sent.join(', ');
}

/** `zh-Hant-TW` [RFC5646 §2.1.1]: not every renderer compares without case. */
const inUsualCase = (language: string): string =>
  language.replace(/-[a-z0-9]+/g, (subtag) => {
    if (subtag.length === 3) return subtag.toUpperCase();
    return subtag.length === 5 ? `-${subtag.charAt(1).toUpperCase()}${subtag.slice(2)}` : subtag;
  });

/** Before a language of weight 0, which is not merely the least wanted one. */
const REFUSED = '!';
const LANGUAGES_MAX = 32;
/**
 * What is sent of a language tag: language, script and region [RFC5646 §2.1]. The rest of one is
 * room for words of the client's own, which an origin that forgets `Vary` would show to everybody.
 */
const LANGUAGE =
  /^(\*|[a-z]{2,3}(?:-[a-z]{3})?(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?)((?:-[a-z0-9]{1,8}){0,6})$/;

const inOrder = (languages: readonly string[]): string => [...languages].sort().join(',');

/** Languages by falling weight; those of equal weight stand together, each once. */
function languageSteps(value: string): string[][] {
  const byWeight = new Map<number, string[]>();
  const known = weighted(value).flatMap(({ member, weight }) => {
    const [, name, rest] = LANGUAGE.exec(member) ?? [];
    // Who refuses a dialect does not refuse the language.
    return name === undefined || (rest !== '' && weight === 0) ? [] : [{ name, weight }];
  });
  for (const { name, weight } of known.slice(0, LANGUAGES_MAX)) {
    const member = weight > 0 ? name : REFUSED + name;
    const others = byWeight.get(weight);
    if (others === undefined) byWeight.set(weight, [member]);
    else others.push(member);
  }
  return [...byWeight.entries()]
    .sort(([left], [right]) => right - left)
    .map(([, languages]) => [...new Set(languages)]);
}

/** The languages which a request would rather have than all others. */
export function preferredLanguages(value: string | undefined): readonly string[] {
  return value === undefined ? [] : (languageSteps(value)[0] ?? []);
}

interface Weighted {
  readonly member: string;
  readonly weight: number;
}

function weighted(value: string): Weighted[] {
  return membersOf(value.toLowerCase()).map((text) => {
    const [member = '', ...parameters] = text.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return { member, weight: weight === undefined ? 1 : weightOf(weight) };
  });
}

const weightOf = (text: string): number => Math.min(1, Math.max(0, Number(text) || 0));
