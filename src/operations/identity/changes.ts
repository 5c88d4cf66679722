/** Tells the audit log of a change of who may do what. */
import type { OperationContext } from '../operation.ts';

export function changed(context: OperationContext, change: string, what: string): void {
  const { by, address } = context;
  context.identity.audit({ kind: 'grantChanged', by, address, change, what });
}
