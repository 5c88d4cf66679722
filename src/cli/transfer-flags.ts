/**
 * What `import` and `export` are told on the command line, and the formats they know. Where the
 * flags are declared is `transfer-commands.ts`.
 */

/** The formats that rows are moved in, and the media types by which a node knows them. */
export const TRANSFER_TYPES = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  json: 'application/json',
} as const;

export type TransferFormat = keyof typeof TRANSFER_TYPES;

/** Where the node is and who asks. */
export interface RemoteFlags {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly format?: TransferFormat | undefined;
}

export interface ImportFlags extends RemoteFlags {
  readonly continueOnError?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export interface ExportFlags extends RemoteFlags {
  readonly query?: string | undefined;
  readonly out?: string | undefined;
}
