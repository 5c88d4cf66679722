/**
 * Who asks. Principals are made by `authenticate` and judged by `authorise`; protocols only carry
 * them.
 */
export type Principal =
  | { readonly kind: 'anonymous' }
  /** The configured administrator: may do everything. */
  | { readonly kind: 'admin'; readonly name: string };

export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous' });
