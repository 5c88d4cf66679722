/**
 * Which lines of a reply are stored, and how a later 304 or HEAD updates them [RFC9111 §3.1, §3.2].
 * Pure. Stored lines are kept as one text, which is split on the way out: a hit decodes no more.
 */
import type { EpochMs } from '../../base/brands.ts';
import { formatHttpDate } from '../../base/http-date.ts';
import { endToEnd, fieldOf, filterFields, namesOf } from './fields.ts';
import type { PageFacts } from './page-facts.ts';
import type { FieldLines } from './ports.ts';

/** Written anew with every answer. */
const WRITTEN_ANEW: ReadonlySet<string> = new Set(['age', 'content-length', 'date', 'via']);

/** Lines that go to clients, of a reply that is passed on or stored; `Date` first. */
export function clientFields(fields: FieldLines, facts: PageFacts): string[] {
  const goesOn = endToEnd(fields);
  const date = facts.date === undefined ? undefined : fieldOf(fields, 'date');
  const kept = filterFields(fields, (name) => goesOn(name) && !WRITTEN_ANEW.has(name));
  return ['date', date ?? formatHttpDate(facts.receivedAt), ...kept];
}

/** The lines of them that may be stored: not those which `no-cache` and `private` name. */
export function storedFields(lines: FieldLines, { directives }: PageFacts): string[] {
  const named = new Set([...(directives.noCacheFields ?? []), ...(directives.privateFields ?? [])]);
  return named.size === 0 ? [...lines] : filterFields(lines, (name) => !named.has(name));
}

/** What the stored bytes were decoded and cut by stays with them [RFC9111 §3.2]. */
const NEVER_UPDATED: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-range',
]);

/** The stored lines with each field of the newer head in the place of its older lines. */
export function updatedFields(stored: FieldLines, newer: FieldLines): string[] {
  const goesOn = endToEnd(newer);
  const fresh = filterFields(newer, (name) => goesOn(name) && !NEVER_UPDATED.has(name));
  const names = namesOf(fresh);
  return [...filterFields(stored, (name) => !names.has(name) && name !== 'date'), ...fresh];
}

export const encodeFields = (fields: FieldLines): string => fields.join('\n');

export const decodeFields = (text: string | undefined): string[] =>
  text === undefined || text === '' ? [] : text.split('\n');

/** `Date` of a stored reply, for the evaluation of conditions. */
export const dateLine = (at: EpochMs): string[] => ['date', formatHttpDate(at)];
