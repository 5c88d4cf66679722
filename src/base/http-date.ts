/**
 * HTTP dates (RFC 9110 §5.6.7): written as IMF-fixdate, read in all three forms that old senders
 * use.
 */
import { type EpochMs, epochMs } from './brands.ts';

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
// A recipient is to be lenient about the case of letters, and about nothing else [RFC9110 §5.6.7].
const fixdate =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z]{3}) (\d{4}) (\d\d:\d\d:\d\d) GMT$/i;
const rfc850 = /^[MTWFS][a-z]{2,5}day, (\d\d)-([A-Z]{3})-(\d\d) (\d\d:\d\d:\d\d) GMT$/i;
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z]{3}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/i;

const MEMO_SLOTS = 4096;
/** Texts by second, in slots: many records share few seconds, and a table of hot ones is small. */
const memoSeconds = new Float64Array(MEMO_SLOTS).fill(-1);
const memoTexts: string[] = new Array(MEMO_SLOTS).fill('');

/** `Sun, 06 Nov 1994 08:49:37 GMT`, the milliseconds cut off. */
export function formatHttpDate(at: EpochMs): string {
  const seconds = Math.floor(at / 1000);
  const slot = seconds & (MEMO_SLOTS - 1);
  if (memoSeconds[slot] === seconds) return memoTexts[slot] as string;
  const text = new Date(seconds * 1000).toUTCString();
  memoSeconds[slot] = seconds;
  memoTexts[slot] = text;
  return text;
}

/** Two-digit years are read as of then unless a caller has a clock: nobody writes them any more. */
const AS_OF = epochMs(Date.UTC(2026, 0, 1));

/**
 * `undefined` when the text is not a date; a recipient then ignores the field [RFC9110 §13.1.3].
 */
export function parseHttpDate(text: string, now: EpochMs = AS_OF): EpochMs | undefined {
  const fixed = fixdate.exec(text);
  if (fixed !== null) return instant(Number(fixed[3]), fixed[2], fixed[1], fixed[4]);
  const ansi = asctime.exec(text);
  if (ansi !== null) return instant(Number(ansi[4]), ansi[1], ansi[2], ansi[3]);
  const old = rfc850.exec(text);
  if (old === null) return undefined;
  const year = fullYear(Number(old[3]), new Date(now).getUTCFullYear());
  return instant(year, old[2], old[1], old[4]);
}

/** More than 50 years ahead means the past century [RFC9110 §5.6.7]. */
function fullYear(twoDigits: number, thisYear: number): number {
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

function instant(
  year: number,
  monthName: string | undefined,
  day: string | undefined,
  time: string | undefined,
): EpochMs | undefined {
  const month = months.indexOf((monthName ?? '').toLowerCase());
  const [hour = 0, minute = 0, second = 0] = (time ?? '').split(':').map(Number);
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(Date.UTC(year, month, Number(day), hour, minute, second));
  // Day 31 of a shorter month would roll over into the next.
  if (second < 60 && date.getUTCDate() !== Number(day)) return undefined;
  return epochMs(date.getTime());
}
