/** What the handlers of packets share: who serves, and what a handler is. */
import type { Packet } from 'mqtt-packet';
import type { DurationMs } from '../../../base/brands.ts';
import type { Clock } from '../../../base/clock.ts';
import type { SignIn } from '../access.ts';
import type { CodeFeeds } from '../code-feeds.ts';
import type { Counts } from '../counts.ts';
import type { Dispatch } from '../dispatch.ts';
import type { PublishParts } from '../publisher.ts';
import type { SessionKeeper } from '../session-keeper.ts';
import type { Sessions } from '../sessions.ts';
import type { Snapshots } from '../snapshots.ts';
import type { SystemTopics } from '../system-topics.ts';
import type { Topics } from '../topics.ts';
import type { Turn } from '../turn.ts';
import type { Wills } from '../wills.ts';

export interface Serving {
  readonly clock: Clock;
  readonly topics: Topics;
  readonly dispatch: Dispatch;
  readonly sessions: Sessions;
  readonly snapshots: Snapshots;
  readonly codeFeeds: CodeFeeds;
  readonly system: SystemTopics;
  readonly wills: Wills;
  readonly keeper: SessionKeeper;
  readonly turn: Turn;
  readonly publishing: PublishParts;
  readonly signIn: SignIn;
  readonly requireAuthentication: boolean;
  readonly counts: Counts;
  /** Told of exceptions while a packet was handled; its client's connection is ended for it. */
  readonly faulted: (error: unknown) => void;
  /** Told of the time from a change to its delivery. */
  readonly observeLag: (lag: DurationMs) => void;
}

export type PacketOf<Command extends Packet['cmd']> = Extract<Packet, { cmd: Command }>;
