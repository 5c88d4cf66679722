/** Proactive negotiation (RFC 9110 §12.5.1): which of the types on offer a client prefers. */

interface Wish {
  readonly range: string;
  readonly quality: number;
}

/**
 * The offered type with the highest quality, earlier ones winning ties; the first when the client
 * did not say; `undefined` when it accepts none.
 */
export function prefers(
  accept: string | undefined,
  offered: readonly string[],
): string | undefined {
  if (accept === undefined || accept === '' || accept === '*/*') return offered[0];
  const wishes = accept.split(',').map(parseWish);
  let best: string | undefined;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(type, wishes);
    if (quality > bestQuality) [best, bestQuality] = [type, quality];
  }
  return best;
}

/** The quality of the most specific range that covers `type`; 0 when none does. */
function qualityOf(type: string, wishes: readonly Wish[]): number {
  const anySubtype = `${type.slice(0, type.indexOf('/'))}/*`;
  for (const range of [type, anySubtype, '*/*']) {
    const wish = wishes.find((candidate) => candidate.range === range);
    if (wish !== undefined) return wish.quality;
  }
  return 0;
}

/** Parameters other than `q` are not used by any type served here. */
function parseWish(text: string): Wish {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const quality = weight === undefined ? 1 : Number(weight);
  return { range, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** Whether an `Accept-Encoding` field allows `coding` [RFC9110 §12.5.3]. */
export function acceptsCoding(field: string | undefined, coding: string): boolean {
  if (field === undefined) return false;
  const wishes = field.split(',').map(parseWish);
  const wish =
    wishes.find(({ range }) => range === coding) ?? wishes.find(({ range }) => range === '*');
  return wish !== undefined && wish.quality > 0;
}

/**
 * The offered coding with the highest quality, earlier ones winning ties; `undefined` for none, or
 * when the client likes the bytes better as they are [RFC9110 §12.5.3].
 */
export function prefersCoding<Coding extends string>(
  field: string,
  offered: readonly Coding[],
): Coding | undefined {
  const wishes = field.split(',').map(parseWish);
  const named = (range: string) => wishes.find((wish) => wish.range === range)?.quality;
  const others = named('*') ?? 0;
  let best: Coding | undefined;
  let bestQuality = 0;
  for (const coding of offered) {
    const quality = named(coding) ?? others;
    if (quality > bestQuality) [best, bestQuality] = [coding, quality];
  }
  return bestQuality >= (named('identity') ?? 0) ? best : undefined;
}
