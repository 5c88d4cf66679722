/** What a row is judged by where no request says more: its own times. */
import type { EpochMs } from '../../base/brands.ts';
import type { DecisionContext } from '../../cache/decide.ts';
import { DEFAULT_POLICY } from '../../cache/default-policy.ts';
import { NO_REQUEST_DIRECTIVES } from '../../cache/directives.ts';
import type { TableDefinition } from '../../schema/definition.ts';

export const plainContext = (definition: TableDefinition, now: EpochMs): DecisionContext => ({
  request: { directives: NO_REQUEST_DIRECTIVES, mayForce: false },
  policy: DEFAULT_POLICY,
  now,
  isOrigin: definition.sourcedFrom === undefined,
  fedSince: undefined,
});
