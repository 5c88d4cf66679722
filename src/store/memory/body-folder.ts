/** Bodies in memory, for tests: gone with the process, like the engine beside it. */
import type { BodyFile, BodyFolder } from '../body-folder.ts';

export class MemoryBodyFolder implements BodyFolder {
  readonly #files = new Map<string, Buffer[]>();

  async make(name: string): Promise<BodyFile> {
    const chunks: Buffer[] = [];
    this.#files.set(name, chunks);
    return new MemoryBodyFile(chunks);
  }

  open(name: string): BodyFile | undefined {
    const chunks = this.#files.get(name);
    return chunks && new MemoryBodyFile(chunks);
  }

  async syncName(): Promise<void> {}

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
  }

  async *names(): AsyncGenerator<readonly string[]> {
    yield [...this.#files.keys()];
  }
}

class MemoryBodyFile implements BodyFile {
  readonly #chunks: Buffer[];

  constructor(chunks: Buffer[]) {
    this.#chunks = chunks;
  }

  get size(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** Chunks come in order and without gaps, so where they go is known. */
  async write(chunks: readonly Uint8Array[]): Promise<void> {
    this.#chunks.push(...chunks.map((chunk) => Buffer.from(chunk)));
  }

  async read(at: number, max: number): Promise<Uint8Array> {
    return Buffer.concat(this.#chunks).subarray(at, at + max);
  }

  async sync(): Promise<void> {}
  close(): void {}
}
