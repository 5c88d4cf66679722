/** Requests on connections that a test owns: one at a time on each, none opened behind its back. */
import { Agent, request } from 'node:http';

export interface WireAnswer {
  readonly status: number;
  readonly text: string;
}

/** One keep-alive connection. */
export class WireClient {
  readonly #base: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(base: string) {
    this.#base = base;
  }

  get(target: string): Promise<WireAnswer> {
    return this.#send('GET', target, undefined);
  }

  put(target: string, record: object): Promise<WireAnswer> {
    return this.#send('PUT', target, JSON.stringify(record));
  }

  patch(target: string, change: object): Promise<WireAnswer> {
    return this.#send('PATCH', target, JSON.stringify(change));
  }

  delete(target: string): Promise<WireAnswer> {
    return this.#send('DELETE', target, undefined);
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, target: string, body: string | undefined): Promise<WireAnswer> {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.#base}${target}`,
        { method, agent: this.#agent, headers },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          response.on('error', reject);
        },
      );
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // A connection that lay idle may be closed just as it is used: nothing was done then.
        const wasIdle = sent.reusedSocket && error.code === 'ECONNRESET';
        if (wasIdle) this.#send(method, target, body).then(resolve, reject);
        else reject(error);
      });
      sent.end(body);
    });
  }
}
