/**
 * A real origin of Server-Sent Events: keeps its streams open, sends what the test says, and
 * remembers with which `Last-Event-ID` each stream was asked for.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export class EventOrigin {
  /** `Last-Event-ID` of each request, in order; '' when there was none. */
  readonly asked: string[] = [];
  readonly paths: string[] = [];
  status = 200;
  contentType = 'text/event-stream; charset=utf-8';
  /** Written at the start of every stream. */
  greeting = '';
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push(String(request.headers['last-event-id'] ?? ''));
      this.paths.push(request.url ?? '');
      response.writeHead(this.status, { 'content-type': this.contentType });
      response.flushHeaders();
      response.write(this.greeting);
      this.#streams.add(response);
      response.on('close', () => this.#streams.delete(response));
    });
  }

  static async start(): Promise<EventOrigin> {
    const origin = new EventOrigin();
    await new Promise<void>((resolve) => origin.#server.listen(0, '127.0.0.1', resolve));
    return origin;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get streams(): number {
    return this.#streams.size;
  }

  send(text: string): void {
    for (const stream of this.#streams) stream.write(text);
  }

  /** Cuts all streams; the origin goes on listening. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
