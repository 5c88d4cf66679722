/**
 * The sea between the regions: each node is reached through a port here, which knows by the field
 * `millrace-node` who dials, delays what passes, and lets nothing through where a cable is cut.
 */
import { connect, createServer } from 'node:net';

const pairOf = (one, other) => [one, other].sort().join('–');

export class Network {
  #targets = new Map();
  #delays = new Map();
  #cut = new Set();
  #open = new Set();

  /** Opens the port of a region; resolves with its number. */
  listen(to) {
    const server = createServer((near) => this.#dialled(to, near));
    return new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve(server.address().port)),
    );
  }

  /** Where the node of a region really is. */
  attach(to, port) {
    this.#targets.set(to, port);
  }

  set(one, other, { delayMs, isCut }) {
    const pair = pairOf(one, other);
    if (delayMs !== undefined) this.#delays.set(pair, delayMs);
    if (isCut === true) {
      this.#cut.add(pair);
      for (const link of this.#open) if (link.pair === pair) link.end();
    } else if (isCut === false) this.#cut.delete(pair);
  }

  #dialled(to, near) {
    near.on('error', () => near.destroy());
    near.once('data', (head) => {
      const from = /^millrace-node: *(\S+)/im.exec(head.toString('latin1'))?.[1] ?? '';
      const pair = pairOf(from, to);
      const port = this.#targets.get(to);
      if (port === undefined || this.#cut.has(pair)) {
        near.destroy();
        return;
      }
      this.#join(pair, near, connect(port, '127.0.0.1'), head);
    });
  }

  #join(pair, near, far, head) {
    const link = {
      pair,
      end() {
        near.destroy();
        far.destroy();
      },
    };
    this.#open.add(link);
    far.on('error', () => far.destroy());
    near.once('close', () => {
      this.#open.delete(link);
      far.destroy();
    });
    // What is on its way arrives before the end of it does.
    far.once('close', () => setTimeout(() => near.destroySoon(), delay() + 10));
    const delay = () => this.#delays.get(pair) ?? 0;
    const pass = (sink) => (chunk) => setTimeout(() => sink.writable && sink.write(chunk), delay());
    const outward = pass(far);
    outward(head);
    near.on('data', outward);
    far.on('data', pass(near));
  }
}
