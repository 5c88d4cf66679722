/**
 * What MQTT asks of those who know principals: who signs in, and what they may do with a topic. A
 * port, so that this folder knows neither grants nor users.
 */
import type { ClientCertificate } from '../../access/asking.ts';
import type { Verified } from '../../access/identity/verified.ts';
import type { RecordId } from '../../base/brands.ts';
import type { NodeError } from '../../base/errors.ts';
import { refusal } from '../../base/refusals.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { WriteGuard } from '../../table/guarded-write.ts';
import type { CodeAt } from './code-topic.ts';
import type { Message } from './message.ts';

/** Somebody who has signed in, or nobody in particular. */
export interface Guest {
  /** '' for nobody in particular. Sessions belong to it. */
  readonly name: string;
  /** What it has signed in with, as it may be kept; `undefined` for nobody in particular. */
  readonly verified: Verified | undefined;
  /** Whether the record may be subscribed to, or messages of its topic published. */
  may(verb: 'subscribe' | 'publish', table: TableDefinition, id: RecordId): boolean;
  /** Judges each record that is written; `undefined`: everything may be. */
  guard(table: TableDefinition): WriteGuard | undefined;
  /** Whether some record of these tables may be subscribed to. */
  maySubscribe(tables: Iterable<TableDefinition>): boolean;
  /** Whether it may hear what the server says of itself. */
  maySeeSystem(): boolean;
  /**
   * The message as it may be seen, `undefined` when it may not be: judged for each one, since a
   * filter matches what nobody thought of, and rows change.
   */
  seen(message: Message): Message | undefined;
  /** Ends the connection when its credentials do. */
  watch(connection: Watchable): () => void;
  /** Remembers what it was not granted. */
  denied(what: string): void;
  /**
   * The same client with what it may do by now, since a will outlives its connection; `undefined`
   * when what it signed in with is worth nothing any more.
   */
  asOfNow(): Guest | undefined;
  /** The application's code at a topic, as this client meets it. */
  readonly codeAt: CodeAt;
  /** Why it may not ask for more at the moment; each SUBSCRIBE and PUBLISH is a request. */
  pace(verb: 'subscribe' | 'publish'): NodeError | undefined;
}

/** What somebody is told who may not. */
export const mayNot = ({ name }: Guest, verb: 'subscribe' | 'publish', topic: string): string =>
  refusal(name === '' ? 'unauthenticated' : 'denied', { verb, what: `to ${topic}` }).message;

/**
 * Who signed in with this in an earlier run, with what it may do by now; `undefined`: what it
 * signed in with is worth nothing any more. Without an argument: nobody in particular.
 */
export type RecallGuest = (verified: Verified | undefined) => Guest | undefined;

export interface Watchable {
  close(code: NodeError['code']): void;
}

export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly remoteAddress: string;
  /** Shown to TLS and verified by it. */
  readonly certificate?: ClientCertificate | undefined;
}

export type SignIn = (
  credentials: Credentials,
) => Promise<{ readonly guest: Guest } | { readonly refused: NodeError }>;
