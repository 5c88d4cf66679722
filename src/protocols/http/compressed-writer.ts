/**
 * A body compressed as it streams. Pressure goes through: a client that does not read stops the
 * compressor, which then stops whoever writes the rows.
 */
import type { Transform } from 'node:stream';
import { type Coding, createCompressor } from './codings.ts';
import type { BodyWriter, Exchange, HeaderList } from './port.ts';

export class CompressedWriter implements BodyWriter {
  readonly #target: BodyWriter;
  readonly #compressor: Transform;

  private constructor(target: BodyWriter, compressor: Transform) {
    this.#target = target;
    this.#compressor = compressor;
    compressor.on('data', (chunk: Uint8Array) => this.#forward(chunk));
    compressor.on('end', () => target.end());
    compressor.on('error', () => target.destroy());
  }

  /** Begins the answer; the headers say the coding. `onDone` is called once, however it ends. */
  static open(
    exchange: Exchange,
    headers: HeaderList,
    coding: Coding,
    onDone: () => void,
  ): CompressedWriter {
    const compressor = createCompressor(coding);
    compressor.once('close', onDone);
    exchange.onAborted(() => compressor.destroy());
    const target = exchange.stream(200, [...headers, 'content-encoding', coding]);
    return new CompressedWriter(target, compressor);
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.aborted) return true;
    return this.#compressor.write(chunk);
  }

  drained(): Promise<void> {
    const compressor = this.#compressor;
    if (!compressor.writableNeedDrain || compressor.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      compressor.once('drain', resolve);
      compressor.once('close', resolve);
    });
  }

  end(chunk?: Uint8Array | string): void {
    if (this.#compressor.destroyed) return;
    if (chunk === undefined || chunk.length === 0) this.#compressor.end();
    else this.#compressor.end(chunk);
  }

  destroy(): void {
    this.#compressor.destroy();
    this.#target.destroy();
  }

  get bufferedBytes(): number {
    return this.#target.bufferedBytes + this.#compressor.writableLength;
  }

  get aborted(): boolean {
    return this.#target.aborted || this.#compressor.destroyed;
  }

  #forward(chunk: Uint8Array): void {
    if (this.#target.write(chunk)) return;
    this.#compressor.pause();
    void this.#target.drained().then(() => this.#compressor.resume());
  }
}
