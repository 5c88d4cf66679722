/**
 * Variants [RFC9111 §4.1]: the fields by which a reply varies, the values of a request brought to
 * a normal form, and the key made of both. Pure.
 *
 * `Accept-Language` and `Accept-Encoding` are sets with weights: order among equals, case and white
 * space mean nothing. Of any other field the white space around commas is dropped, and lines are
 * joined, unless it holds quoted text.
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
  if (name === 'accept-language') return languageSteps(value).join('>');
  if (name === 'accept-encoding') return acceptedCodings(value);
  return value.includes('"') ? value.trim() : membersOf(value).join(',');
}

/** Codings with a weight above 0, in order of the alphabet: what an origin may choose from. */
export function acceptedCodings(value: string): string {
  const accepted = weighted(value).filter(({ weight }) => weight > 0);
  return [...new Set(accepted.map(({ member }) => member))].sort().join(', ');
}

/** Languages by falling weight; those of equal weight stand together. */
function languageSteps(value: string): string[] {
  const byWeight = new Map<number, string[]>();
  for (const { member, weight } of weighted(value)) {
    const others = byWeight.get(weight);
    if (others === undefined) byWeight.set(weight, [member]);
    else others.push(member);
  }
  return [...byWeight.entries()]
    .sort(([left], [right]) => right - left)
    .map(([, languages]) => [...new Set(languages)].sort().join(','));
}

/** The languages which a request would rather have than all others. */
export function preferredLanguages(value: string | undefined): readonly string[] {
  return value === undefined ? [] : (languageSteps(value)[0] ?? '').split(',');
}

interface Weighted {
  readonly member: string;
  readonly weight: number;
}

function weighted(value: string): Weighted[] {
  return membersOf(value.toLowerCase()).map((text) => {
    const [member = '', ...parameters] = text.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return { member, weight: weight === undefined ? 1 : Number(weight) || 0 };
  });
}
