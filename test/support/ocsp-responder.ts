/**
 * A real responder (`openssl ocsp`) behind a door of our own, which can count, swap the responder
 * behind it, play a reply again that was given for somebody else, or be shut.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Starts `openssl ocsp` on a port of its own; resolves with it. */
export async function startOpenssl(
  args: readonly string[],
): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  const child = spawn('openssl', ['ocsp', '-port', '0', '-nmin', '60', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const port = await new Promise<number>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        text += chunk;
        const found = /ACCEPT \S*:(\d+) /.exec(text)?.[1];
        if (found !== undefined && text.includes('waiting')) resolve(Number(found));
      });
    }
    child.once('exit', () => reject(new Error(`openssl ocsp ended: ${text}`)));
  });
  return { port, child };
}

export class OcspDoor {
  /** Port of the responder behind it; `undefined`: connections are cut. */
  target: number | undefined;
  /** Given instead of asking. */
  replay: Buffer | undefined;
  asked = 0;
  last: Buffer = Buffer.alloc(0);
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((incoming, answer) => {
      this.asked += 1;
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const finish = (bytes: Buffer) => {
          this.last = bytes;
          answer.writeHead(200, { 'content-type': 'application/ocsp-response' }).end(bytes);
        };
        if (this.replay !== undefined) finish(this.replay);
        else if (this.target === undefined) incoming.socket.destroy();
        else forward(this.target, Buffer.concat(chunks)).then(finish, () => answer.destroy());
      });
    });
  }

  static async open(): Promise<OcspDoor> {
    const door = new OcspDoor();
    door.#server.listen(0, '127.0.0.1');
    await once(door.#server, 'listening');
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function forward(port: number, question: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/ocsp-request',
      'content-length': question.length,
    };
    const asked = request({ host: 'localhost', port, method: 'POST', headers }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('end', () => resolve(Buffer.concat(chunks)));
    });
    asked.once('error', reject);
    asked.end(question);
  });
}
