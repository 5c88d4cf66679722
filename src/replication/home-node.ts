/**
 * Which node a record is at home on (`shield: true`): the live node with the highest score for the
 * key. Every node that knows the same live nodes answers alike, and when one comes or goes only the
 * records that it had or takes change their home (rendezvous hashing).
 */
import type { RecordId, TableName } from '../base/brands.ts';

/** FNV-1a and a final mix: names differ in their last letter, scores must not be near then. */
function score(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The nodes in the order in which they are asked: the home first, then who stands in for it. */
export function homeNodes(
  table: TableName,
  id: RecordId,
  names: readonly string[],
): readonly string[] {
  const key = `${table}\n${typeof id}\n${id}`;
  return names
    .map((name) => ({ name, score: score(`${name}\n${key}`) }))
    .toSorted((one, other) => other.score - one.score || (one.name < other.name ? -1 : 1))
    .map(({ name }) => name);
}
