/**
 * An open connection between two nodes that have proved who they are: frames in order, each within
 * a bound, each sealed. It knows no meaning of a frame. A frame at fault ends the connection and is
 * counted; a peer that does not take what it asked for ends it too, before memory does.
 *
 * Whoever uses it pauses reading while it has work, so that the peer is held back by TCP.
 */
import type { RawData, WebSocket } from 'ws';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { LinkCounts, PeerBytes, Refusal } from './counts.ts';
import { decodeFrame, encodeFrame, type PlainFrame } from './frame-codec.ts';
import type { Seal } from './sealed.ts';

export interface ConnectionUser {
  /** A frame that could be read; what it throws ends the connection as a fault of the peer. */
  received(frame: PlainFrame, bytes: number): void;
  /** There is room again after `send` said that there is none. */
  drained(): void;
  gone(why: string): void;
}

export interface Sealing {
  readonly outgoing: Seal;
  readonly incoming: Seal;
}

/** Where what happens on connections is told. */
export interface LinkWatch {
  readonly counts: LinkCounts;
  /** A mistake of this node, found while it obeyed a frame. */
  readonly onFault: (error: unknown) => void;
}

export interface Identified {
  /** The name that the other node has proved. */
  readonly peer: string;
  readonly side: 'dialler' | 'listener';
  readonly remoteAddress: string;
  /** Of the certificate that it showed, upper case. */
  readonly serial?: string | undefined;
}

/** Above, the peer should be let take what it has been sent. */
const ROOM_BYTES = 1024 * 1024;
/** Close codes as WebSocket has them: going away, and a fault of the other side. */
const CLOSE = { done: 1000, fault: 1008 } as const;
/** Time for the peer to answer a close, milliseconds. */
const CLOSE_MS = 1_000;

export class PeerConnection implements Identified {
  readonly peer: string;
  readonly side: 'dialler' | 'listener';
  readonly remoteAddress: string;
  readonly serial: string | undefined;
  readonly #ws: WebSocket;
  readonly #seals: Sealing;
  readonly #counts: LinkCounts;
  readonly #onFault: (error: unknown) => void;
  readonly #bytes: PeerBytes;
  #user: ConnectionUser | undefined;
  #isOpen = true;
  #waits = false;
  #why = 'the connection was lost';

  constructor(ws: WebSocket, who: Identified, seals: Sealing, watch: LinkWatch) {
    const { counts } = watch;
    this.#ws = ws;
    this.#onFault = watch.onFault;
    this.peer = who.peer;
    this.side = who.side;
    this.remoteAddress = who.remoteAddress;
    this.serial = who.serial;
    this.#seals = seals;
    this.#counts = counts;
    this.#bytes = counts.of(who.peer);
    // Nothing is read until somebody listens.
    ws.pause();
    ws.on('message', (message: RawData, isBinary: boolean) =>
      this.#received(message as Buffer, isBinary),
    );
    // What ws itself refuses: a frame too long, or none at all.
    ws.on('error', (error) => {
      counts.refused('frame');
      this.#why = error.message;
    });
    ws.on('close', (_code, reason) => this.#closed(reason.toString()));
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Bytes which the peer has not taken yet. */
  get bufferedBytes(): number {
    return this.#isOpen ? this.#ws.bufferedAmount : 0;
  }

  /** Begins to read; once. */
  use(user: ConnectionUser): void {
    this.#user = user;
    if (this.#isOpen) this.#ws.resume();
    else user.gone(this.#why);
  }

  /** False: the frame is on its way, but the next should wait for `drained`. */
  send(frame: PlainFrame): boolean {
    if (!this.#isOpen) return false;
    const bytes = this.#seals.outgoing.seal(encodeFrame(frame));
    this.#bytes.sent += bytes.length;
    this.#ws.send(bytes, { binary: true }, () => this.#flushed());
    if (this.#ws.bufferedAmount > LIMITS.replicationBufferBytesMax) {
      this.#give('slow', 'it does not take what it is sent');
    }
    const hasRoom = this.#isOpen && this.#ws.bufferedAmount < ROOM_BYTES;
    if (!hasRoom) this.#waits = true;
    return hasRoom;
  }

  pause(): void {
    if (this.#isOpen) this.#ws.pause();
  }

  resume(): void {
    if (this.#isOpen) this.#ws.resume();
  }

  /** Ends it; `gone` follows. */
  close(why: string): void {
    this.#end(CLOSE.done, why);
  }

  #received(message: Buffer, isBinary: boolean): void {
    if (!this.#isOpen) return;
    this.#bytes.received += message.length;
    const opened = isBinary ? this.#seals.incoming.open(message) : undefined;
    if (opened === undefined) {
      this.#give('forged', 'a frame was not written by that node for this place');
      return;
    }
    try {
      this.#user?.received(decodeFrame(opened), message.length);
    } catch (error) {
      const known = asNodeError(error);
      if (known.blame !== 'peer') this.#onFault(error);
      this.#give('frame', known.blame === 'peer' ? known.message : 'it could not be obeyed');
    }
  }

  #give(refusal: Refusal, why: string): void {
    this.#counts.refused(refusal);
    this.#end(CLOSE.fault, why);
  }

  #end(code: number, why: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#why = why;
    const ws = this.#ws;
    // A paused socket would never see the answer to its close.
    ws.resume();
    ws.close(code, Buffer.from(why).subarray(0, 120).toString());
    setTimeout(() => ws.terminate(), CLOSE_MS).unref();
    this.#user?.gone(why);
  }

  #closed(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (reason !== '') this.#why = `it was closed: ${reason}`;
    this.#user?.gone(this.#why);
  }

  #flushed(): void {
    if (!this.#waits || !this.#isOpen || this.#ws.bufferedAmount >= ROOM_BYTES) return;
    this.#waits = false;
    this.#user?.drained();
  }
}

/** A frame says what it cannot say. */
export const invalidFrame = (why: string): NodeError =>
  new NodeError('PEER_INVALID', `a frame of another node is wrong: ${why}`, { blame: 'peer' });
