/**
 * One attack on a server, as a process of its own, so that its work does not stand in the way of
 * the client that is measured. Told what to do as JSON in its first argument; writes its counts as
 * one line of JSON when it is asked to end.
 *
 *   slow      holds so many connections, each with a request head that never ends
 *   churn     opens and leaves so many connections a second: mid-head, by reset, after an answer
 *   sign-ins  shows so many wrong passwords a second, on as many connections as it takes
 *   cold-keys asks for ever new keys from so many connections at once
 *
 * Each connection comes from one of twenty addresses of the loopback network, as those of a small
 * botnet would.
 */
import { connect, type Socket } from 'node:net';

interface Order {
  readonly attack: string;
  readonly url: string;
  readonly clients: number;
  readonly perSecond: number;
}

const order: Order = JSON.parse(process.argv[2] ?? '{}');
const target = new URL(order.url);
const counts: Record<string, number> = {};
const ADDRESSES = 20;
const SIGN_IN = '/.well-known/millrace/session';
let opened = 0;

const count = (what: string): void => {
  counts[what] = (counts[what] ?? 0) + 1;
};

function open(onData: (socket: Socket, text: string) => void, onClose: () => void): Socket {
  opened += 1;
  const socket = connect({
    host: target.hostname,
    port: Number(target.port),
    localAddress: `127.0.2.${1 + (opened % ADDRESSES)}`,
  });
  socket.setNoDelay(true);
  socket.on('data', (chunk) => onData(socket, chunk.toString('latin1')));
  socket.on('error', () => count('errors'));
  socket.on('close', onClose);
  return socket;
}

/** Keeps a connection with an unfinished head, and begins anew when it is cut. */
function hold(): void {
  const socket = open(
    (_, text) => count(`status ${text.slice(9, 12)}`),
    () => {
      clearInterval(dripping);
      count('cut');
      setTimeout(hold, 100 + Math.random() * 900);
    },
  );
  socket.write(`GET /items/0 HTTP/1.1\r\nhost: ${target.host}\r\nx-slow: `);
  const dripping = setInterval(() => socket.write('a'), 1_000);
}

const endings = [
  (socket: Socket) => socket.write('GET /items/0 HT', () => socket.destroy()),
  (socket: Socket) => socket.resetAndDestroy(),
  (socket: Socket) => socket.end('\r\n'),
];

function visit(): void {
  count('connections');
  const ending = endings[opened % (endings.length + 1)];
  const socket = open(
    (one) => one.destroy(),
    () => {},
  );
  socket.on('connect', () => {
    if (ending === undefined) socket.write(`GET /items/0 HTTP/1.1\r\nhost: ${target.host}\r\n\r\n`);
    else ending(socket);
  });
}

/** One connection that asks, reads, and asks again once `next` says so. */
function asking(request: () => string, next: (again: () => void) => void): void {
  let received = '';
  const ask = (): void => {
    received = '';
    count('requests');
    socket.write(request());
  };
  const socket = open(
    (_, text) => {
      received += text;
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      count(`status ${received.slice(9, 12)}`);
      next(ask);
    },
    () => setTimeout(() => asking(request, next), 100),
  );
  socket.on('connect', () => next(ask));
}

function signInRequest(): string {
  const body = JSON.stringify({
    username: `user-${Math.floor(Math.random() * 1e6)}`,
    password: `wrong-${Math.random()}-password`,
  });
  const head = `POST ${SIGN_IN} HTTP/1.1\r\nhost: ${target.host}\r\ncontent-type: application/json`;
  return `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

let coldKeys = 0;
function coldRequest(): string {
  coldKeys += 1;
  const path = `/items/cold-${process.pid}-${coldKeys}-${Math.random().toString(36).slice(2)}`;
  return `GET ${path} HTTP/1.1\r\nhost: ${target.host}\r\n\r\n`;
}

/** Calls `work` so many times a second, in steps of 10 ms. */
function atRate(perSecond: number, work: () => void): void {
  let owed = 0;
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    owed = Math.min(perSecond, owed + ((now - before) * perSecond) / 1000);
    before = now;
    for (; owed >= 1; owed -= 1) work();
  }, 10);
}

const attacks: Record<string, () => void> = {
  slow: () => {
    for (let index = 0; index < order.clients; index += 1) setTimeout(hold, index / 2);
  },
  churn: () => atRate(order.perSecond, visit),
  'sign-ins': () => {
    const idle: (() => void)[] = [];
    const wait = (again: () => void) => idle.push(again);
    for (let index = 0; index < order.clients; index += 1) asking(signInRequest, wait);
    atRate(order.perSecond, () => idle.shift()?.());
  },
  'cold-keys': () => {
    for (let index = 0; index < order.clients; index += 1) asking(coldRequest, (again) => again());
  },
};

process.on('SIGTERM', () => {
  process.stdout.write(`counts ${JSON.stringify(counts)}\n`, () => process.exit(0));
});
attacks[order.attack]?.();
process.stdout.write('listening http://attacker\n');
