/**
 * Application code that takes part at a topic, bound to one client: a port, so that this folder
 * runs none of it. A class is followed by SUBSCRIBE (its `subscribe`, else its `connect`) and told
 * by PUBLISH: with retain that is a `put` or a `delete`, without a message.
 */
import type { MessageStream } from '../../resource/message-stream.ts';

/** What a PUBLISH wants of a class. */
export type CodeVerb = 'message' | 'put' | 'delete';

export interface CodeTopic {
  /** The path of the class: what the topics of its changes begin with. */
  readonly path: string;
  readonly follows: boolean;
  /** What its own methods answer. */
  readonly takes: ReadonlySet<CodeVerb>;
  /** Whether its stream is told what its follower publishes to the same topic. */
  readonly hears: boolean;
  /** What it leaves to others is the table's of the same path. */
  readonly isOverTable: boolean;
  /** Rejects with an error of ours when the client may not follow it. */
  admit(): Promise<void>;
  open(client: CodeClient): Promise<AsyncIterableIterator<unknown>>;
  /** Resolves once what the code wrote is committed; rejects with an error of ours. */
  publish(verb: CodeVerb, message: unknown): Promise<void>;
  /** What its stream threw, as an error of ours; what is a fault of the code is logged. */
  failure(thrown: unknown): Error;
}

export interface CodeClient {
  /** What the client publishes to the topic that it follows, if the class has no `publish`. */
  readonly incoming: MessageStream;
  /** Aborts when the client has gone or follows no more. */
  readonly signal: AbortSignal;
}

/** The code at a topic, or at those that begin as a filter does; `undefined`: there is none. */
export type CodeAt = (filter: string) => CodeTopic | undefined;
