/**
 * What a flight ended with, as plain data that can be posted to another thread, and back.
 */
import { type Blame, type ErrorCode, NodeError, type Retry } from '../base/errors.ts';
import { entryFields, type PlainEntryFields, plainEntry } from './plain-entry.ts';
import type { FlightOutcome } from './ports.ts';

export type EncodedOutcome =
  | {
      readonly kind: 'reply';
      readonly entry: PlainEntryFields;
      readonly stored: boolean;
      readonly shareable: boolean;
      readonly originStatus: number;
    }
  | {
      readonly kind: 'failure';
      readonly code: ErrorCode;
      readonly message: string;
      readonly blame: Blame;
      readonly retry: Retry;
      readonly details: Readonly<Record<string, unknown>>;
    };

export function encodeOutcome(outcome: FlightOutcome): EncodedOutcome {
  if (outcome.kind === 'reply') {
    return { ...outcome, entry: entryFields(outcome.entry.retain()) };
  }
  const { code, message, blame, retry, details } = outcome.error;
  return { kind: 'failure', code, message, blame, retry, details };
}

export function decodeOutcome(encoded: EncodedOutcome): FlightOutcome {
  if (encoded.kind === 'reply') return { ...encoded, entry: plainEntry(encoded.entry) };
  const { code, message, blame, retry, details } = encoded;
  return { kind: 'failure', error: new NodeError(code, message, { blame, retry, details }) };
}
