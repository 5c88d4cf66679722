/**
 * A second reading of the query grammar, written apart from the first and as plainly as possible:
 * generated queries as a tree, their text for the URL, and what they mean over records in memory.
 * Slow, and made to be obviously right.
 */
import fc from 'fast-check';

export type NaiveRecord = Readonly<Record<string, unknown>>;

type Op = '=' | '==' | '===' | '!=' | '!==' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'sw' | 'ew' | 'ct';

export type NaiveFilter =
  | { readonly kind: 'one'; readonly name: string; readonly op: Op; readonly text: string }
  | { readonly kind: 'chain'; readonly name: string; readonly from: string; readonly to: string }
  | {
      readonly kind: 'and' | 'or';
      readonly square: boolean;
      readonly parts: readonly NaiveFilter[];
    };

const ORDERED = ['count', 'price', 'at', 'big'];
const TEXT = ['name', 'tag', 'tags', 'note', 'any', 'place.city', 'id'];
const NAMES = [...ORDERED, ...TEXT, 'open', 'scores', 'place.zip'];

export const WORDS = [
  'a',
  'ab',
  'abc',
  'b',
  'ü',
  'z',
  'Z',
  '',
  '\u{1f600}',
  '\uffee',
  'null',
  '5',
  'true',
  'a b&c=d',
  'x'.repeat(40),
  `${'x'.repeat(40)}y`,
  `${'x'.repeat(300)}1`,
  `${'x'.repeat(300)}2`,
  'ab*',
  'a(b',
];
const NUMBERS = [-3, -1.5, 0, 1, 2, 2.5, 5, 1e12];
const INTEGERS = [-3, 0, 1, 2, 5, 1_000];
const DATES = ['2026-01-02T03:04:05.000Z', '2026-01-02T03:04:05.000Z', '1969-12-31', '2030-06-01'];
const BIGS = ['0', '-7', '12345678901234567890', '12345678901234567891'];

/** Records with everything that is awkward: nulls, gaps, lists, one instant in two forms. */
export function makeRecord(at: number, pick: <T>(from: readonly T[]) => T): NaiveRecord {
  const maybe = (value: () => unknown): unknown =>
    pick([value, value, value, () => null, () => undefined])();
  const list = (from: readonly unknown[]) =>
    Array.from({ length: pick([0, 1, 2, 3]) }, () => pick(from));
  const instant = pick(DATES);
  return {
    id: pick([`k${at}`, `a/${at}`, `ü${at}`]),
    name: maybe(() => pick(WORDS)),
    tag: maybe(() => pick(WORDS.slice(0, 8))),
    count: maybe(() => pick(INTEGERS)),
    price: maybe(() => pick(NUMBERS)),
    big: maybe(() => pick(BIGS)),
    open: maybe(() => pick([true, false])),
    at: maybe(() => pick([instant, Date.parse(instant)])),
    tags: maybe(() => list(WORDS.slice(0, 6))),
    scores: maybe(() => list(INTEGERS)),
    any: maybe(() => pick<unknown>([...WORDS.slice(0, 13), ...NUMBERS, true, false, ['a', 5], {}])),
    place: maybe(() => ({ city: pick(WORDS.slice(0, 5)), zip: pick([5, '5', null]) })),
    note: maybe(() => pick(WORDS)),
  };
}

const textsFor = (name: string): readonly string[] => {
  if (name === 'count' || name === 'scores') return INTEGERS.map(String);
  if (name === 'price') return NUMBERS.map(String);
  if (name === 'big') return BIGS;
  if (name === 'at') return [...DATES, String(Date.parse(DATES[0] ?? ''))];
  if (name === 'open') return ['true', 'false'];
  if (name === 'id') return ['k1', 'a/5', 'ü', 'a', 'k'];
  if (name === 'any' || name === 'place.zip') return [...WORDS, ...NUMBERS.map(String), 'true'];
  return WORDS;
};

const one = fc.constantFrom(...NAMES).chain((name) => {
  const isText = TEXT.includes(name) || name === 'place.zip';
  const ops: Op[] = ['=', '==', '===', '!=', '!==', 'ne', 'lt', 'le', 'gt', 'ge'];
  if (isText) ops.push('sw', 'ew', 'ct');
  return fc
    .record({
      op: fc.constantFrom(...ops),
      text: fc.constantFrom(...textsFor(name)),
      isNull: fc.integer({ min: 0, max: 6 }),
    })
    .map(({ op, text, isNull }): NaiveFilter => {
      const takesNull = !['lt', 'le', 'gt', 'ge', 'sw', 'ew', 'ct'].includes(op);
      const wanted = takesNull && isNull === 0 ? 'null' : text;
      // Ordering against null is refused; so is a text beginning like a type.
      return { kind: 'one', name, op, text: !takesNull && wanted === 'null' ? 'ab' : wanted };
    });
});

const chain = fc
  .constantFrom(...ORDERED, 'scores')
  .chain((name) =>
    fc
      .tuple(fc.constantFrom(...textsFor(name)), fc.constantFrom(...textsFor(name)))
      .map(([from, to]): NaiveFilter => ({ kind: 'chain', name, from, to })),
  );

export const naiveFilter: fc.Arbitrary<NaiveFilter> = fc.letrec<{ filter: NaiveFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: one, weight: 4 },
    { arbitrary: chain, weight: 1 },
    {
      weight: 3,
      arbitrary: fc
        .record({
          kind: fc.constantFrom('and' as const, 'or' as const),
          square: fc.boolean(),
          parts: fc.array(tie('filter'), { minLength: 2, maxLength: 4 }),
        })
        .map((group): NaiveFilter => group),
    },
  ),
})).filter;

/** The query as a client would write it. */
export function textOf(filter: NaiveFilter): string {
  if (filter.kind === 'one') {
    const { name, op, text } = filter;
    const sign = /^[a-z]/.test(op) ? `=${op}=` : op;
    const encoded = encodeURIComponent(text);
    // A star at the end of `==` would begin a prefix, a bracket without its partner end the value.
    const safe = encoded.replaceAll('*', '%2A').replaceAll('(', '%28');
    return `${name}${sign}${safe}`;
  }
  if (filter.kind === 'chain') return `${filter.name}=gt=${filter.from}&le=${filter.to}`;
  const [open, close] = filter.square ? ['[', ']'] : ['(', ')'];
  const parts = filter.parts.map(textOf);
  return `${open}${parts.join(filter.kind === 'and' ? '&' : '|')}${close}`;
}

export function holds(filter: NaiveFilter, record: NaiveRecord): boolean {
  switch (filter.kind) {
    case 'and':
      return filter.parts.every((part) => holds(part, record));
    case 'or':
      return filter.parts.some((part) => holds(part, record));
    case 'chain': {
      const { name, from, to } = filter;
      return valuesOf(record, name).some(
        (value) => above(name, value, from, false) && below(name, value, to, true),
      );
    }
    case 'one':
      return holdsOne(filter, record);
  }
}

function holdsOne(
  { name, op, text }: Extract<NaiveFilter, { kind: 'one' }>,
  record: NaiveRecord,
): boolean {
  const values = valuesOf(record, name);
  const isAny = name === 'any' || name.startsWith('place.');
  const converts = op === '==' || op === '!=' || op === 'ne';
  const equal = values.some((value) => same(name, value, isAny && converts ? guess(text) : text));
  switch (op) {
    case '=':
    case '==':
    case '===':
      return equal;
    case '!=':
    case '!==':
    case 'ne':
      return !equal;
    case 'gt':
    case 'ge':
      return values.some((value) => above(name, value, text, op === 'ge'));
    case 'lt':
    case 'le':
      return values.some((value) => below(name, value, text, op === 'le'));
    case 'sw':
      return values.some((value) => typeof value === 'string' && value.startsWith(text));
    case 'ew':
      return values.some((value) => typeof value === 'string' && value.endsWith(text));
    case 'ct':
      return values.some((value) => typeof value === 'string' && value.includes(text));
  }
}

/** The values that a condition on `name` looks at; a missing one is null. */
function valuesOf(record: NaiveRecord, name: string): readonly unknown[] {
  if (name.startsWith('place.')) {
    const place = record.place as NaiveRecord | null | undefined;
    return [place?.[name.slice('place.'.length)] ?? null];
  }
  const value = record[name] ?? null;
  return Array.isArray(value) ? value : [value];
}

const guess = (text: string): unknown => {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d/.test(text) ? Number(text) : text;
};

function same(name: string, value: unknown, wanted: unknown): boolean {
  if (wanted === 'null') return value === null;
  if (value === null) return false;
  if (name === 'any' || name.startsWith('place.')) return value === wanted;
  return order(name, value, String(wanted)) === 0;
}

const above = (name: string, value: unknown, text: string, orEqual: boolean): boolean => {
  const found = order(name, value, text);
  return found !== undefined && (found > 0 || (orEqual && found === 0));
};

const below = (name: string, value: unknown, text: string, orEqual: boolean): boolean => {
  const found = order(name, value, text);
  return found !== undefined && (found < 0 || (orEqual && found === 0));
};

/** `undefined` for what has no order with the text. */
function order(name: string, value: unknown, text: string): number | undefined {
  if (value === null) return undefined;
  switch (name) {
    case 'count':
    case 'price':
    case 'scores':
      return Math.sign((value as number) - Number(text));
    case 'big': {
      const difference = BigInt(value as string) - BigInt(text);
      return difference < 0n ? -1 : difference > 0n ? 1 : 0;
    }
    case 'open':
      return Number(value) - Number(text === 'true');
    case 'at': {
      const wanted = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
      const found = typeof value === 'number' ? value : Date.parse(value as string);
      return Math.sign(found - wanted);
    }
    case 'any':
    case 'place.city':
    case 'place.zip': {
      const wanted = guess(text);
      if (typeof wanted !== typeof value) return undefined;
      if (typeof wanted === 'string') return byCodePoint(value as string, wanted);
      return Number(value) - Number(wanted);
    }
    default:
      return byCodePoint(value as string, text);
  }
}

const byCodePoint = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));

export interface NaiveSort {
  readonly name: string;
  readonly descending: boolean;
}

export const SORTABLE = ['name', 'tag', 'count', 'price', 'open', 'at', 'tags', 'any', 'id', 'big'];

export const naiveSort: fc.Arbitrary<readonly NaiveSort[]> = fc.uniqueArray(
  fc.record({ name: fc.constantFrom(...SORTABLE), descending: fc.boolean() }),
  { maxLength: 3, selector: (key) => key.name },
);

export function sorted(
  records: readonly NaiveRecord[],
  keys: readonly NaiveSort[],
): readonly NaiveRecord[] {
  return [...records].sort((one, other) => {
    for (const { name, descending } of keys) {
      const found = rankOrder(sortValue(one, name, descending), sortValue(other, name, descending));
      if (found !== 0) return descending ? -found : found;
    }
    const byId = byCodePoint(String(one.id), String(other.id));
    return keys[0]?.descending === true ? -byId : byId;
  });
}

type Ranked = readonly [rank: number, value: number | bigint | string];

function sortValue(record: NaiveRecord, name: string, descending: boolean): Ranked {
  const ranked = valuesOf(record, name).flatMap((value) => rankOf(name, value));
  ranked.sort(rankOrder);
  return (descending ? ranked.at(-1) : ranked[0]) ?? [0, 0];
}

function rankOf(name: string, value: unknown): Ranked[] {
  if (value === null) return [[0, 0]];
  if (typeof value === 'boolean') return [[1, Number(value)]];
  if (name === 'big') return [[2, BigInt(value as string)]];
  if (name === 'at') return [[2, typeof value === 'number' ? value : Date.parse(value as string)]];
  if (typeof value === 'number') return [[2, value]];
  return typeof value === 'string' ? [[3, value]] : [];
}

function rankOrder([rank, value]: Ranked, [otherRank, other]: Ranked): number {
  if (rank !== otherRank) return rank - otherRank;
  if (typeof value === 'string') return byCodePoint(value, other as string);
  const number = other as number | bigint;
  return value < number ? -1 : value > number ? 1 : 0;
}
