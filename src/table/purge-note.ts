/**
 * What is noted of a purge: who asked, how, for what. Made where it was asked for, on any thread;
 * kept and counted on one.
 */
export type PurgeKind = 'key' | 'url' | 'prefix' | 'host' | 'group' | 'query' | 'table';

export interface PurgeNote {
  readonly by: string;
  /** Of the client that asked by a request. */
  readonly address?: string | undefined;
  /** `operation`: over the admin port; `request`: by the URL of a page. */
  readonly via: 'operation' | 'request';
  readonly kind: PurgeKind;
  readonly tables: readonly string[];
  /** What the answer called it: keys, or what else was named. */
  readonly purged: unknown;
  readonly soft: boolean;
  /** How many things were named; 1 for a prefix or a whole table. */
  readonly count: number;
}
