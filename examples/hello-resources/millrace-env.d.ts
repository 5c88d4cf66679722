/**
 * The tables of schema.graphql. Written by `millrace check --types`: changes here are lost.
 */
import type { ApplicationTable } from 'millrace';

/** A guest and what they wrote. */
export interface Guest {
  id: string;
  name: string;
  words?: string | null;
  visits?: number | null;
  signedAt?: number | string | null;
  [undeclared: string]: unknown;
}

/** What a unit of money costs; fetched by resources/rates.ts, kept for a minute. */
export interface Rate {
  id: string;
  perEuro?: number | null;
  [undeclared: string]: unknown;
}

/** Rows by the name in their paths: `connect<ExportedTables>()` of `millrace/client`. */
export interface ExportedTables {
  Guest: Guest;
  Rate: Rate;
}

declare module 'millrace' {
  interface Tables {
    readonly Guest: ApplicationTable<Guest>;
    readonly Rate: ApplicationTable<Rate>;
  }
}
