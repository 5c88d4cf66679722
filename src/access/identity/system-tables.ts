/**
 * The tables in which a node keeps who may sign in: the database `system`. They are declared to the
 * store and to nothing else, so no protocol reaches them; they are written by ordinary commits, so
 * they are as durable and as coherent over threads as records, and go where replication carries
 * records.
 */
import type { TableName } from '../../base/brands.ts';
import type { TableDefinition } from '../../schema/definition.ts';

/** Every system table; the key of each is a string. */
export const SYSTEM = {
  /** By user name. */
  user: 'system.user' as TableName,
  /** Roles made by operation, by name; those of `roles.yaml` are not here. */
  role: 'system.role' as TableName,
  /** By the public part of the key; the secret part is a hash. */
  apiKey: 'system.api_key' as TableName,
  /** By the hash of what the cookie carries. */
  session: 'system.session' as TableName,
  /** Tokens that are worth nothing before they expire, by their id. */
  revocation: 'system.revocation' as TableName,
  /** Public keys of tokens, by key id; the private ones never leave their node's folder. */
  signingKey: 'system.signing_key' as TableName,
  /** What was done by whom, by time. */
  audit: 'system.audit' as TableName,
} as const;

export type SystemTable = keyof typeof SYSTEM;

const PLACE = { file: 'system', line: 0, column: 0 };

const definitionOf = (name: TableName): TableDefinition => ({
  name,
  typeName: name,
  database: 'system',
  attributes: [
    {
      name: 'id',
      type: 'ID',
      list: false,
      required: true,
      elementRequired: false,
      primaryKey: true,
      indexed: false,
      hidden: false,
      place: PLACE,
    },
  ],
  primaryKey: 'id',
  primaryKeyType: 'string',
  sealed: false,
  hidden: true,
  // What a node noticed is its own; who may sign in is the cluster's.
  replicate: name !== SYSTEM.audit,
  history: false,
  place: PLACE,
});

export const SYSTEM_TABLES: readonly TableDefinition[] = Object.values(SYSTEM).map(definitionOf);

/** Those whose changes decide about credentials, at once and on every thread. */
export const WATCHED_TABLES: ReadonlySet<TableName> = new Set(
  Object.values(SYSTEM).filter((name) => name !== SYSTEM.audit),
);
