/**
 * What `schema.graphql` declares, as frozen data: tables, attributes, exports, caching. Made by
 * `parseSchema`; everything else in the project reads these and never the GraphQL document.
 */
import type { DeltaSeconds, TableName } from '../base/brands.ts';

export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type ScalarType =
  | 'ID'
  | 'String'
  | 'Int'
  | 'Long'
  | 'Float'
  | 'BigInt'
  | 'Boolean'
  | 'Date'
  | 'Bytes'
  | 'Blob'
  | 'Any';

/** What a client may be allowed to do with an exported table. */
export type Verb = 'read' | 'subscribe' | 'insert' | 'update' | 'delete' | 'publish' | 'purge';
export const VERBS: readonly Verb[] = [
  'read',
  'subscribe',
  'insert',
  'update',
  'delete',
  'publish',
  'purge',
];

export type ExportProtocol = 'rest' | 'websocket' | 'sse' | 'mqtt';

export interface AttributeDefinition {
  readonly name: string;
  /** A scalar, or the name of another type (nested object or relationship). */
  readonly type: ScalarType | { readonly object: string };
  readonly list: boolean;
  readonly required: boolean;
  readonly elementRequired: boolean;
  readonly primaryKey: boolean;
  readonly indexed: boolean;
  readonly hidden: boolean;
  /** Keys of a page begin with its URL, which begins with its host; then comes its path. */
  readonly inKey?: 'start' | 'afterHost' | undefined;
  readonly role?: 'createdTime' | 'updatedTime' | 'expiresAt' | undefined;
  readonly computed?: { readonly from: string | undefined; readonly version?: number } | undefined;
  readonly relationship?: { readonly from?: string; readonly to?: string } | undefined;
  /** `@indexed(type: "HNSW", …)`: kept as written; `indexed` is false for such an attribute. */
  readonly vectorIndex?: Readonly<Record<string, unknown>> | undefined;
  readonly description?: string | undefined;
  readonly place: SourcePlace;
}

export interface TableDefinition {
  /** `database.table`, or `table` in the default database `data`. Unique. */
  readonly name: TableName;
  readonly typeName: string;
  readonly database: string;
  readonly attributes: readonly AttributeDefinition[];
  /** Name of the primary key attribute; `id` when none was declared. */
  readonly primaryKey: string;
  readonly primaryKeyType: 'string' | 'number';
  readonly sealed: boolean;
  readonly hidden: boolean;
  readonly expiration?: DeltaSeconds | undefined;
  readonly eviction?: DeltaSeconds | undefined;
  readonly scanInterval?: DeltaSeconds | undefined;
  readonly replicate: boolean | 'entries' | 'invalidations' | 'none';
  /** `audit` or `history`: the change log keeps bodies. */
  readonly history: boolean;
  readonly export?:
    | {
        /** URL segment(s) below `/`; `*` takes every topic that no other table claims. */
        readonly name: string;
        readonly public: ReadonlySet<Verb>;
        readonly protocols: ReadonlySet<ExportProtocol>;
      }
    | undefined;
  readonly sourcedFrom?:
    | {
        readonly origin: string;
        readonly path?: string | undefined;
        readonly write: 'through' | 'none';
        /** Where the directive stands; absent in definitions made by code. */
        readonly place?: SourcePlace | undefined;
      }
    | undefined;
  /** Name of the policy and the inline overrides as written (checked with the policy files). */
  readonly cache?:
    | {
        readonly policy?: string | undefined;
        readonly overrides: Readonly<Record<string, unknown>>;
        readonly place?: SourcePlace | undefined;
        /** Where each override stands. */
        readonly places?: Readonly<Record<string, SourcePlace>> | undefined;
      }
    | undefined;
  readonly pages?:
    | {
        readonly origin: string;
        readonly policy?: string | undefined;
        readonly path: string;
        readonly host?: string | undefined;
        readonly place?: SourcePlace | undefined;
      }
    | undefined;
  readonly description?: string | undefined;
  readonly place: SourcePlace;
}

/** The shape of nested objects: a type that is not a table, or a table used as a plain object. */
export interface ObjectDefinition {
  readonly typeName: string;
  readonly attributes: readonly AttributeDefinition[];
  readonly sealed: boolean;
}

export interface Schema {
  readonly tables: readonly TableDefinition[];
  readonly objects: ReadonlyMap<string, ObjectDefinition>;
}
