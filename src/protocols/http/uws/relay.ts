/**
 * A WebSocket that belongs to an origin, on an engine which shows messages and no connection: what
 * the client sends is framed for the origin, what the origin sends is read out of its frames.
 * Pings are answered on either side by this node; extensions are agreed on neither.
 *
 * An origin that sends faster than the client reads is paused. The engine cannot pause a client, so
 * one that sends faster than the origin reads is cut off at a bound; nothing is left out silently.
 */
import type { Duplex } from 'node:stream';
import { FrameReader, maskedClose, maskedFrame, NO_CODE, OPCODE } from '../frames.ts';
import type { Socket } from '../port.ts';

/** Milliseconds which the origin has to close, once the client has gone. */
const CLOSING_MS = 5_000;
const GOING_AWAY = 1001;
const CLOSED_ABNORMALLY = 1006;
const TRY_LATER = 1013;
const BAD_GATEWAY = 1014;

export interface RelayLimits {
  /** One message of the origin, and what may wait to be sent to it, bytes. */
  readonly messageMax: number;
  readonly bufferMax: number;
}

export class Relay {
  readonly #origin: Duplex;
  readonly #limits: RelayLimits;
  readonly #reader: FrameReader;
  #socket: Socket<unknown> | undefined;
  #isClosing = false;

  constructor(origin: Duplex, limits: RelayLimits) {
    this.#origin = origin;
    this.#limits = limits;
    this.#reader = new FrameReader(limits.messageMax, {
      message: (bytes, binary) => this.#toClient(bytes, binary),
      ping: (bytes) => void origin.write(maskedFrame(OPCODE.pong, bytes)),
      close: (code, reason) => this.#originCloses(code, reason),
    });
    origin.on('error', () => this.#originLost());
    origin.once('close', () => this.#originLost());
  }

  open(socket: Socket<unknown>): void {
    if (this.#origin.destroyed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#origin.on('data', (chunk: Uint8Array) => this.#fromOrigin(chunk));
    this.#origin.once('end', () => this.#originLost());
  }

  message(_: Socket<unknown>, bytes: Uint8Array, binary: boolean): void {
    if (this.#isClosing) return;
    if (this.#origin.writableLength > this.#limits.bufferMax) {
      this.#giveUp(TRY_LATER, 'the origin does not keep up');
      return;
    }
    this.#origin.write(maskedFrame(binary ? OPCODE.binary : OPCODE.text, bytes));
  }

  drain(): void {
    if (!this.#isClosing) this.#origin.resume();
  }

  closed(_: Socket<unknown>, code: number, reason = ''): void {
    this.#socket = undefined;
    if (this.#isClosing) return;
    // Without a closing handshake the origin is to see none either.
    if (code === CLOSED_ABNORMALLY) this.#origin.destroy();
    else this.#endOrigin(code, reason);
  }

  /** The node stops. */
  stop(): void {
    if (!this.#isClosing) this.#giveUp(GOING_AWAY, 'the node is stopping');
  }

  #fromOrigin(chunk: Uint8Array): void {
    let fault: string | undefined;
    const read = (): void => {
      fault = this.#reader.push(chunk);
    };
    // What one read brings goes out in one write.
    if (this.#socket?.cork === undefined) read();
    else this.#socket.cork(read);
    if (fault !== undefined && !this.#isClosing) this.#giveUp(BAD_GATEWAY, fault);
  }

  #toClient(bytes: Uint8Array, binary: boolean): void {
    if (this.#isClosing) return;
    const result = this.#socket?.send(bytes, binary);
    if (result === 'buffered') this.#origin.pause();
    if (result === 'dropped') this.#giveUp(TRY_LATER, 'the client does not keep up');
  }

  #originCloses(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#endOrigin(code, '');
    // Not from within the cork in which it was read.
    queueMicrotask(() => this.#socket?.close(code === NO_CODE ? 0 : code, reason));
  }

  #originLost(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#origin.destroy();
    queueMicrotask(() => this.#socket?.terminate());
  }

  #giveUp(code: number, reason: string): void {
    this.#endOrigin(code === BAD_GATEWAY ? 1002 : code, reason);
    queueMicrotask(() => this.#socket?.close(code, reason));
  }

  /** Says goodbye, and lets the origin have what was sent before it. */
  #endOrigin(code: number, reason: string): void {
    this.#isClosing = true;
    const origin = this.#origin;
    origin.resume();
    origin.end(maskedClose(code, reason));
    setTimeout(() => origin.destroy(), CLOSING_MS).unref();
  }
}
