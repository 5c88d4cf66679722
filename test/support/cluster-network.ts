/**
 * The network between the nodes of a test: every node is reached through a proxy of its own, which
 * knows who dials by the field `millrace-node` and does to each direction between two nodes what
 * the test says: nothing, delay, hold back (as a partition does: neither end is told), or break.
 */
import net from 'node:net';

/** One direction between two nodes. */
interface Direction {
  isHeld: boolean;
  delayMs: number;
}

interface Running {
  readonly from: string;
  readonly to: string;
  readonly near: net.Socket;
  readonly far: net.Socket;
  readonly pumps: readonly Pump[];
}

const HEAD_BYTES_MAX = 16 * 1024;

export class ClusterNetwork {
  readonly #servers = new Map<string, net.Server>();
  readonly #targets = new Map<string, number>();
  readonly #directions = new Map<string, Direction>();
  readonly #broken = new Set<string>();
  readonly #running = new Set<Running>();
  /** Bytes carried so far, by `from to`. */
  readonly bytes = new Map<string, number>();

  /** Where other nodes reach `name`, from now on and whatever port it has. */
  async addressOf(name: string): Promise<string> {
    const known = this.#servers.get(name);
    const server = known ?? net.createServer((socket) => this.#dialled(name, socket));
    if (known === undefined) {
      this.#servers.set(name, server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    }
    return `ws://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  /** The node `name` listens here now. */
  attach(name: string, url: string): void {
    this.#targets.set(name, Number(new URL(url).port));
  }

  /** Holds back what `from` sends to `to`; what is on its way arrives when it is healed. */
  hold(from: string, to: string): void {
    this.#direction(from, to).isHeld = true;
  }

  /** As a pulled cable: nothing goes either way and nobody is told. */
  partition(one: string, other: string): void {
    this.hold(one, other);
    this.hold(other, one);
  }

  /** As a closed port: connections end at once, and new ones too. */
  cut(one: string, other: string): void {
    this.#broken.add(pairOf(one, other));
    for (const running of this.#running) {
      if (pairOf(running.from, running.to) === pairOf(one, other)) end(running);
    }
  }

  delay(one: string, other: string, delayMs: number): void {
    this.#direction(one, other).delayMs = delayMs;
    this.#direction(other, one).delayMs = delayMs;
  }

  heal(one: string, other: string): void {
    this.#broken.delete(pairOf(one, other));
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      this.#direction(from, to).isHeld = false;
    }
    for (const { pumps } of this.#running) for (const pump of pumps) pump.pass();
  }

  close(): void {
    for (const running of this.#running) end(running);
    for (const server of this.#servers.values()) server.close();
  }

  #direction(from: string, to: string): Direction {
    const key = `${from} ${to}`;
    const known = this.#directions.get(key);
    if (known !== undefined) return known;
    const fresh = { isHeld: false, delayMs: 0 };
    this.#directions.set(key, fresh);
    return fresh;
  }

  #dialled(to: string, near: net.Socket): void {
    near.on('error', () => near.destroy());
    let head = Buffer.alloc(0);
    const look = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const text = head.toString('latin1');
      if (!text.includes('\r\n\r\n') && head.length < HEAD_BYTES_MAX) return;
      near.off('data', look);
      near.pause();
      const from = /^millrace-node: *(\S+)/im.exec(text)?.[1] ?? '?';
      this.#join({ from, to, near, head });
    };
    near.on('data', look);
  }

  #join({ from, to, near, head }: { from: string; to: string; near: net.Socket; head: Buffer }) {
    const port = this.#targets.get(to);
    if (port === undefined || this.#broken.has(pairOf(from, to))) {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect(port, '127.0.0.1');
    far.on('error', () => far.destroy());
    const pump = (start: string, end: string, source: net.Socket, sink: net.Socket) =>
      new Pump(source, sink, this.#direction(start, end), (count) => {
        const key = `${start} ${end}`;
        this.bytes.set(key, (this.bytes.get(key) ?? 0) + count);
      });
    const pumps = [pump(from, to, near, far), pump(to, from, far, near)];
    const running = { from, to, near, far, pumps };
    this.#running.add(running);
    near.once('close', () => {
      this.#running.delete(running);
      pumps[0]?.end();
    });
    far.once('close', () => pumps[1]?.end());
    pumps[0]?.take(head);
    near.resume();
  }
}

/** Carries one direction of one connection; what is held or delayed keeps its order. */
class Pump {
  readonly #sink: net.Socket;
  readonly #direction: Direction;
  readonly #count: (bytes: number) => void;
  readonly #waiting: { readonly chunk: Buffer; readonly dueAt: number }[] = [];

  constructor(
    source: net.Socket,
    sink: net.Socket,
    direction: Direction,
    count: (bytes: number) => void,
  ) {
    this.#sink = sink;
    this.#direction = direction;
    this.#count = count;
    source.on('data', (chunk: Buffer) => this.take(chunk));
  }

  take(chunk: Buffer): void {
    const { delayMs } = this.#direction;
    this.#waiting.push({ chunk, dueAt: performance.now() + delayMs });
    if (delayMs === 0) this.pass();
    else setTimeout(() => this.pass(), delayMs + 1);
  }

  /** What is on its way arrives before the end of it does. */
  end(): void {
    const { isHeld, delayMs } = this.#direction;
    if (this.#sink.destroyed) return;
    if (isHeld || this.#waiting.length > 0) setTimeout(() => this.end(), delayMs + 10);
    else this.#sink.destroySoon();
  }

  pass(): void {
    while (!this.#direction.isHeld) {
      const [first] = this.#waiting;
      if (first === undefined || first.dueAt > performance.now()) return;
      this.#waiting.shift();
      this.#count(first.chunk.length);
      if (this.#sink.writable) this.#sink.write(first.chunk);
    }
  }
}

const pairOf = (one: string, other: string): string => [one, other].toSorted().join(' ');

function end({ near, far }: Running): void {
  near.resetAndDestroy();
  far.resetAndDestroy();
}
