/**
 * What carries MQTT's bytes, TCP or WebSocket, as a connection sees it; and what it is told by it.
 */
import type { ClientCertificate } from '../../access/asking.ts';

export interface Channel {
  readonly remoteAddress: string;
  /** The client's, when TLS has verified it. */
  readonly certificate?: ClientCertificate | undefined;
  /** Takes the bytes in any case; false: wait for `drained` before there are more. */
  write(bytes: Uint8Array): boolean;
  /** Bytes written and not yet taken by the peer, as far as is known. */
  readonly bufferedBytes: number;
  /** Stops and goes on reading. */
  pause(): void;
  resume(): void;
  /** Closes once what was written has been sent. */
  end(): void;
}

/** Who is told of what comes in. */
export interface ChannelUser {
  received(chunk: Buffer): void;
  drained(): void;
  /** The peer is gone; nothing can be sent any more. */
  gone(): void;
}

/** Begins to serve a peer. */
export type Accept = (channel: Channel) => ChannelUser;
