/**
 * A client that knows bytes only: what the suite sends is what arrives, and what it asserts is what
 * the server put on the wire. Gathers everything received until the connection ends.
 */
import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  #received: Buffer[] = [];
  ended = false;
  receivedBytes = 0;
  #wake: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.receivedBytes += chunk.length;
      this.#changed();
    });
    this.socket.on('close', () => {
      this.ended = true;
      this.#changed();
    });
    this.socket.on('error', () => undefined);
  }

  get bytes(): Buffer {
    const all = Buffer.concat(this.#received);
    this.#received = [all];
    return all;
  }

  /** Everything received, one character a byte. */
  get text(): string {
    return this.bytes.toString('latin1');
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Resolves with the text once `holds` does; rejects after `timeoutMs`. */
  async until(holds: (text: string) => boolean, timeoutMs = 30_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    while (!holds(this.text)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`not received in time; got: ${this.text.slice(0, 2_000)}`);
      await this.#next(left);
    }
    return this.text;
  }

  /** Resolves once so many bytes have come, without looking at each. */
  async untilBytes(count: number, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (this.receivedBytes < count) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`received ${this.receivedBytes} of ${count} bytes in time`);
      await this.#next(left);
    }
  }

  /** Resolves with everything received once the server has closed. */
  async closed(timeoutMs = 30_000): Promise<string> {
    await this.until(() => this.ended, timeoutMs);
    return this.text;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #next(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}

/** How many responses the text holds, by their status lines. */
export function responsesIn(text: string): number {
  return text.split('HTTP/1.1 ').length - 1;
}

/** Status codes of the responses in the text, in order. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
}
