/**
 * Connections between nodes over real sockets: who is let in, what a connection carries, and what
 * whoever is not a node, or cheats as one, gets for it: nothing, and a count.
 */
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { asNodeError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/config/limits.ts';
import type { PeerConnection } from '../../src/protocols/replication/connection.ts';
import { LinkCounts, type Refusal } from '../../src/protocols/replication/counts.ts';
import { dialPeer } from '../../src/protocols/replication/dial.ts';
import { encodeFrame, type PlainFrame } from '../../src/protocols/replication/frame-codec.ts';
import type { LinkOptions } from '../../src/protocols/replication/link-options.ts';
import { type LinkListener, listenForPeers } from '../../src/protocols/replication/listener.ts';
import { ClusterSecret } from '../../src/protocols/replication/proof.ts';
import { until } from '../support/node-process.ts';

const secret = await ClusterSecret.derive('one token for all');
const stranger = await ClusterSecret.derive('another token');

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

function optionsOf(name: string, own: ClusterSecret = secret): LinkOptions {
  const watch = { counts: new LinkCounts(), onFault: (error: unknown) => faults.push(error) };
  return { name, secret: own, tls: undefined, revoked: () => new Set(), watch };
}
const faults: unknown[] = [];

interface Listening extends LinkOptions {
  readonly listener: LinkListener;
  readonly url: string;
  readonly accepted: PeerConnection[];
  count(refusal: Refusal): number;
}

async function listening(name = 'here'): Promise<Listening> {
  const options = optionsOf(name);
  const accepted: PeerConnection[] = [];
  const listener = await listenForPeers({
    ...{ ...options, host: '127.0.0.1', port: 0 },
    accept: (connection) => accepted.push(connection),
  });
  cleanUp.push(() => listener.close());
  const count = (refusal: Refusal) => options.watch.counts.refusals.get(refusal) ?? 0;
  return { ...options, listener, accepted, count, url: `ws://127.0.0.1:${listener.port}` };
}

/** Both ends of one connection, with what each has received. */
async function connected(): Promise<{ here: End; there: End; at: Listening }> {
  const at = await listening();
  const dialled = await dialPeer(at.url, optionsOf('there'));
  cleanUp.push(() => dialled.close('the test is over'));
  const accepted = await until('the connection', () => at.accepted[0]);
  return { at, there: endOf(dialled), here: endOf(accepted) };
}

interface End {
  readonly connection: PeerConnection;
  readonly frames: PlainFrame[];
  readonly gone: () => string | undefined;
  readonly drained: () => number;
}

function endOf(connection: PeerConnection, isReading = true): End {
  const frames: PlainFrame[] = [];
  let gone: string | undefined;
  let drained = 0;
  const user = {
    received: (frame: PlainFrame) => void frames.push(frame),
    drained: () => {
      drained += 1;
    },
    gone: (why: string) => {
      gone = why;
    },
  };
  if (isReading) connection.use(user);
  return { connection, frames, gone: () => gone, drained: () => drained };
}

describe('a link between two nodes', () => {
  it('knows each end by the name it proved, and carries frames both ways in order', async () => {
    const { here, there } = await connected();
    expect(here.connection).toMatchObject({ peer: 'there', side: 'listener' });
    expect(there.connection).toMatchObject({ peer: 'here', side: 'dialler' });
    const body = Buffer.from('{"a":1}');
    for (let n = 0; n < 500; n += 1) there.connection.send({ kind: 'row', n, body });
    here.connection.send({ kind: 'credit', bytes: 2 ** 40 + 1 });
    await until('the frames', () => here.frames.length === 500 && there.frames.length === 1);
    expect(here.frames.map(({ n }) => n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
    expect(Buffer.from(here.frames[7]?.body as Uint8Array).toString()).toBe('{"a":1}');
    expect(there.frames[0]).toEqual({ kind: 'credit', bytes: 2 ** 40 + 1 });
  });

  it('tells both ends when one closes it, with the reason', async () => {
    const { here, there } = await connected();
    there.connection.close('restarting');
    await until('the end', () => here.gone());
    expect(here.gone()).toContain('restarting');
    expect(there.gone()).toBe('restarting');
    expect(there.connection.send({ kind: 'late' })).toBe(false);
  });

  it('says when there is no room, when there is again, and keeps order meanwhile', async () => {
    const { here, there } = await connected();
    here.connection.pause();
    const body = Buffer.alloc(512 * 1024, 1);
    let sent = 0;
    while (there.connection.send({ n: sent, body })) sent += 1;
    expect(there.connection.bufferedBytes).toBeGreaterThan(0);
    expect(there.drained()).toBe(0);
    here.connection.resume();
    await until('room', () => there.drained() === 1 && here.frames.length === sent + 1);
    expect(here.frames.map(({ n }) => n)).toEqual(here.frames.map((_, n) => n));
  });

  it('gives up a peer that takes nothing, before memory does', async () => {
    const { here, there } = await connected();
    here.connection.pause();
    const body = Buffer.alloc(4 * 1024 * 1024);
    while (there.connection.isOpen) {
      there.connection.send({ body });
      await turn();
      expect(there.connection.bufferedBytes).toBeLessThan(
        LIMITS.replicationBufferBytesMax + 2 * body.length,
      );
    }
    expect(there.gone()).toContain('does not take');
  });
});

describe('a node that dials', () => {
  const failure = (dialling: Promise<unknown>) => dialling.then(() => undefined, asNodeError);

  it('is refused without the token of the cluster, and told so', async () => {
    const at = await listening();
    const error = await failure(dialPeer(at.url, optionsOf('there', stranger)));
    expect(error?.code).toBe('PEER_REFUSED');
    expect(error?.message).toContain('cluster token');
    expect(at.count('credentials')).toBe(1);
    expect(at.accepted).toEqual([]);
  });

  it('is refused under the name of the node it dials', async () => {
    const at = await listening('same');
    const error = await failure(dialPeer(at.url, optionsOf('same')));
    expect(error?.code).toBe('PEER_REFUSED');
    expect(at.accepted).toEqual([]);
  });

  it('does not go on with a port that cannot prove it knows the token', async () => {
    const false401 = net.createServer((socket) => {
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 401 x\r\nwww-authenticate: Millrace name="evil", nonce="' +
            `${'n'.repeat(32)}"\r\ncontent-length: 0\r\n\r\n`,
        ),
      );
    });
    await new Promise<void>((resolve) => false401.listen(0, '127.0.0.1', () => resolve()));
    cleanUp.push(() => false401.close());
    const { port } = false401.address() as net.AddressInfo;
    const error = await failure(dialPeer(`ws://127.0.0.1:${port}`, optionsOf('there')));
    expect(error?.blame).toBe('peer');
  });

  it('says that nobody listens', async () => {
    const error = await failure(dialPeer('ws://127.0.0.1:1', optionsOf('there')));
    expect(error?.code).toBe('PEER_UNREACHABLE');
  });
});

/** Opens as a node does, with whatever it says of itself; the status when it is refused. */
function knock(url: string, authorization?: string): Promise<WebSocket | number> {
  const headers = authorization === undefined ? {} : { authorization };
  const ws = new WebSocket(`${url}/replication`, ['millrace-replication.1'], { headers });
  ws.on('error', () => undefined);
  return new Promise((resolve) => {
    ws.once('open', () => resolve(ws));
    ws.once('unexpected-response', (request, response) => {
      challenge = String(response.headers['www-authenticate']);
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
  });
}
let challenge = '';

function answerTo(line: string): string {
  const nonce = /nonce="([^"]+)"/.exec(line)?.[1] ?? '';
  const conversation = { dialler: 'cheat', listener: 'here', nonce, own: 'o'.repeat(32) };
  const proof = secret.proofOf('dialler', conversation);
  return `Millrace name="cheat", nonce="${nonce}", own="${conversation.own}", proof="${proof}"`;
}

describe('a hostile peer that knows the token', () => {
  /** Signs in as a node does, and is then free to write what it likes. */
  async function cheat(at: Listening): Promise<{ ws: WebSocket; closed: Promise<number> }> {
    await knock(at.url);
    const ws = await knock(at.url, answerTo(challenge));
    if (typeof ws === 'number') throw new Error(`refused: ${ws}`);
    const closed = new Promise<number>((resolve) => ws.once('close', resolve));
    endOf(await until('the connection', () => at.accepted.at(-1)));
    return { ws, closed };
  }

  it('cannot have a frame obeyed that it did not seal for this place', async () => {
    const at = await listening();
    const { ws, closed } = await cheat(at);
    ws.send(Buffer.concat([Buffer.alloc(16), encodeFrame({ kind: 'forged' })]));
    expect(await closed).toBe(1008);
    expect(at.count('forged')).toBe(1);
  });

  it('is closed for a text, and for a frame beyond the limit', async () => {
    const at = await listening();
    const one = await cheat(at);
    one.ws.send('{"kind":"text"}');
    expect(await one.closed).toBe(1008);
    const two = await cheat(at);
    two.ws.send(Buffer.alloc(LIMITS.replicationFrameBytesMax + 1));
    await two.closed;
    expect(at.count('forged')).toBe(1);
    expect(at.count('frame')).toBe(1);
  });

  it('cannot use an answer to a challenge twice', async () => {
    const at = await listening();
    await knock(at.url);
    const answer = answerTo(challenge);
    expect(await knock(at.url, answer)).toBeInstanceOf(WebSocket);
    expect(await knock(at.url, answer)).toBe(401);
    expect(at.accepted).toHaveLength(1);
  });
});

describe('whoever is no node', () => {
  it.each([
    ['garbage', Buffer.from(Array.from({ length: 4_096 }, (_, n) => (n * 7) % 256)), 'request'],
    ['a plain request', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'), 'request'],
    ['a head without end', Buffer.from(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`), 'request'],
    [
      'a WebSocket of another protocol',
      Buffer.from(
        'GET /replication HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
          'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      ),
      'protocol',
    ],
  ] as const)('is let go of for %s, and counted', async (_, bytes, refusal) => {
    const at = await listening();
    await new Promise((resolve) => {
      const socket = net.connect(at.listener.port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.once('close', resolve);
    });
    expect(at.count(refusal)).toBe(1);
    expect(at.accepted).toEqual([]);
    const node = await dialPeer(at.url, optionsOf('there'));
    node.close('still there');
  });

  it('is let go of when it says nothing', async () => {
    const at = await listening();
    const socket = net.connect(at.listener.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(at.count('request')).toBe(1);
  });
});
