/** Record keys, or the error that says what is wrong with them. */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { checkRecordId, isKeyProblem, type ParsedKey, parseRecordId } from '../schema/key.ts';

/** The key which stands in a URL; throws `KEY_INVALID` or `KEY_TOO_LONG`. */
export function recordIdFromUrl(definition: TableDefinition, encoded: string): RecordId {
  return accepted(definition, parseRecordId(definition, encoded));
}

/** A key that came decoded: from a body, an operation, a feed. Throws as above. */
export function recordIdFrom(definition: TableDefinition, key: unknown): RecordId {
  return accepted(definition, checkRecordId(definition, key));
}

function accepted(definition: TableDefinition, key: ParsedKey): RecordId {
  if (!isKeyProblem(key)) return key;
  throw new NodeError(key.code, `${definition.typeName}: ${key.message}`, { blame: 'client' });
}
