/**
 * Field lines as the rules look at them: flat lists of lower-case names and values, one pair a
 * line. Pure; nothing is joined or dropped but where a caller asks for it.
 */
import type { FieldLines } from './ports.ts';

/** All lines of a name, joined by commas [RFC9110 §5.3]; `undefined` when there is none. */
export function fieldOf(fields: FieldLines, name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at] !== name) continue;
    const value = fields[at + 1] as string;
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/** The lines whose names `keep` wants. */
export function filterFields(fields: FieldLines, keep: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    if (keep(name)) kept.push(name, fields[at + 1] as string);
  }
  return kept;
}

export function namesOf(fields: FieldLines): Set<string> {
  const names = new Set<string>();
  for (let at = 0; at < fields.length; at += 2) names.add(fields[at] as string);
  return names;
}

/** Members of a comma-separated list, white space removed. */
export const membersOf = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');

/** Fields which concern one connection only [RFC9110 §7.6.1], or its proxy [RFC9111 §3.1]. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Whether a field goes beyond the connection on which these lines came. */
export function endToEnd(fields: FieldLines): (name: string) => boolean {
  const connection = fieldOf(fields, 'connection');
  if (connection === undefined) return (name) => !HOP_BY_HOP.has(name);
  const named = new Set(membersOf(connection.toLowerCase()));
  return (name) => !HOP_BY_HOP.has(name) && !named.has(name);
}
