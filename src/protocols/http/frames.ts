/**
 * WebSocket frames as the client of an origin reads and writes them [RFC6455 §5.2]: what a server
 * sends is not masked, what is sent to it is. Used where an engine shows messages only, and a
 * connection to an origin shows bytes only.
 *
 * Fragments are put together up to a limit; control frames may stand between them. A frame that
 * breaks the protocol ends the reading: the caller is told why, and nothing after it is looked at.
 * No exception leaves here, since the callers stand inside an engine's callback.
 */
import { randomFillSync } from 'node:crypto';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A close frame without a code, as it is told [RFC6455 §7.1.5]. */
export const NO_CODE = 1005;

export interface FrameEvents {
  message(bytes: Uint8Array, binary: boolean): void;
  ping(bytes: Uint8Array): void;
  close(code: number, reason: string): void;
}

interface Head {
  readonly isLast: boolean;
  readonly opcode: number;
  /** Bytes of the head itself, and of what follows it. */
  readonly bytes: number;
  readonly length: number;
}

export class FrameReader {
  readonly #events: FrameEvents;
  readonly #messageMax: number;
  #rest: Buffer = Buffer.alloc(0);
  #fragments: Uint8Array[] = [];
  #fragmentBytes = 0;
  #binary = false;
  #isOver = false;

  constructor(messageMax: number, events: FrameEvents) {
    this.#messageMax = messageMax;
    this.#events = events;
  }

  /** Why the bytes are no frames that may be sent on; `undefined` when all is well. */
  push(chunk: Uint8Array): string | undefined {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    while (!this.#isOver) {
      const head = headOf(this.#rest);
      if (head === undefined) return undefined;
      const fault = this.#faultOf(head);
      if (fault !== undefined) {
        this.#isOver = true;
        return fault;
      }
      const end = head.bytes + head.length;
      if (this.#rest.length < end) return undefined;
      const payload = this.#rest.subarray(head.bytes, end);
      this.#rest = this.#rest.subarray(end);
      this.#take(head, payload);
    }
    return undefined;
  }

  #faultOf({ isLast, opcode, length }: Head): string | undefined {
    const [first = 0, second = 0] = this.#rest;
    if ((first & 0x70) !== 0) return 'a frame uses an extension that was not agreed';
    if ((second & 0x80) !== 0) return 'a frame of a server is masked';
    if (!KNOWN.has(opcode)) return `a frame has the unknown opcode ${opcode}`;
    if (opcode >= OPCODE.close) {
      return isLast && length <= 125 ? undefined : 'a control frame is too long, or in fragments';
    }
    const isOpen = this.#fragments.length > 0;
    if (isOpen !== (opcode === OPCODE.continuation))
      return 'fragments of a message are out of order';
    return this.#fragmentBytes + length > this.#messageMax
      ? `a message is larger than ${this.#messageMax} bytes`
      : undefined;
  }

  #take({ isLast, opcode }: Head, payload: Uint8Array): void {
    if (opcode === OPCODE.ping) this.#events.ping(payload);
    else if (opcode === OPCODE.close) this.#close(payload);
    else if (opcode !== OPCODE.pong) this.#fragment(opcode, isLast, payload);
  }

  #fragment(opcode: number, isLast: boolean, payload: Uint8Array): void {
    if (opcode !== OPCODE.continuation) this.#binary = opcode === OPCODE.binary;
    this.#fragments.push(payload);
    this.#fragmentBytes += payload.length;
    if (!isLast) return;
    const whole =
      this.#fragments.length === 1 ? payload : Buffer.concat(this.#fragments, this.#fragmentBytes);
    this.#fragments = [];
    this.#fragmentBytes = 0;
    this.#events.message(whole, this.#binary);
  }

  #close(payload: Uint8Array): void {
    this.#isOver = true;
    const bytes = Buffer.from(payload);
    if (bytes.length < 2) this.#events.close(NO_CODE, '');
    else this.#events.close(bytes.readUInt16BE(0), bytes.toString('utf8', 2));
  }
}

const KNOWN: ReadonlySet<number> = new Set(Object.values(OPCODE));

/** The head of the frame at the beginning; `undefined` while it is not all there. */
function headOf(bytes: Buffer): Head | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const head = { isLast: (first & 0x80) !== 0, opcode: first & 0x0f };
  const short = second & 0x7f;
  if (short < 126) return { ...head, bytes: 2, length: short };
  const size = short === 126 ? 4 : 10;
  if (bytes.length < size) return undefined;
  // A length that no number holds is beyond every limit.
  const length = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { ...head, bytes: size, length };
}

/** One whole frame of a client, masked [RFC6455 §5.3]. */
export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const size = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(size + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size === 2 ? length : size === 4 ? 126 : 127);
  if (size === 4) frame.writeUInt16BE(length, 2);
  else if (size === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  randomFillSync(frame, size, 4);
  const start = size + 4;
  for (let i = 0; i < length; i += 1) {
    frame[start + i] = (payload[i] as number) ^ (frame[size + (i & 3)] as number);
  }
  return frame;
}

/** A close frame; without a code that may be sent it is an empty one [RFC6455 §7.4.1]. */
export function maskedClose(code: number, reason: string): Buffer {
  if (code < 1000 || code === NO_CODE || code === 1006 || code === 1015) {
    return maskedFrame(OPCODE.close, new Uint8Array(0));
  }
  const text = Buffer.from(reason).subarray(0, 123);
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return maskedFrame(OPCODE.close, payload);
}
