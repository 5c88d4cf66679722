/**
 * A node that has the token of the cluster and means no good: each conversation with another node
 * is a proper one, but for one thing in one frame, which a seed decides.
 */

import { epochMs } from '../../src/base/brands.ts';
import { versionAt } from '../../src/base/hlc.ts';
import type { PeerConnection } from '../../src/protocols/replication/connection.ts';
import { dialPeer } from '../../src/protocols/replication/dial.ts';
import type { PlainFrame } from '../../src/protocols/replication/frame-codec.ts';
import type { LinkOptions } from '../../src/protocols/replication/link-options.ts';
import { until } from './node-process.ts';
import type { Random } from './random.ts';

const AUTHOR = 666_000_001;
const TEN_YEARS_MS = 315_360_000_000;

type Mutable = Record<string | number, unknown>;

interface Conversation {
  readonly link: PeerConnection;
  readonly heard: PlainFrame[];
  isOver: boolean;
  /** Called when something came, or the end. */
  moved: () => void;
}

const PATIENCE_MS = 60_000;

/** Resolves when it holds; looked at whenever something came. */
function heardUntil(talk: Conversation, what: string, holds: () => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE_MS);
    talk.moved = () => {
      if (!holds()) return;
      clearTimeout(late);
      talk.moved = () => undefined;
      resolve();
    };
    talk.moved();
  });
}

export class HostileNode {
  /** Conversations that the other node ended. */
  ended = 0;
  readonly #url: string;
  readonly #options: LinkOptions;
  readonly #random: Random;
  #place = 0;
  #nonce = 0;

  constructor(url: string, options: LinkOptions, random: Random) {
    this.#url = url;
    this.#options = options;
    this.#random = random;
  }

  /** One conversation, until the other node ends it or has obeyed all of it. */
  async converse(): Promise<void> {
    const talk = await this.#open();
    await heardUntil(talk, 'its hello', () => talk.isOver || ofKind(talk, 'hello'));
    const hello = ofKind(talk, 'hello');
    const { name } = this.#options;
    const own: PlainFrame = { ...hello, name, author: AUTHOR, instance: 'evil', members: [] };
    const frames: PlainFrame[] = [own, ...this.#speech(Number(hello?.author))];
    const guilty = this.#random(8) === 0 ? 0 : 1 + this.#random(frames.length - 1);
    frames[guilty] = this.#changed(frames[guilty] ?? own);
    // A stream is known by the number that the other node gives it.
    for (const frame of frames) {
      const isAnswer = frame.stream === 0;
      if (isAnswer) await heardUntil(talk, 'its open', () => talk.isOver || ofKind(talk, 'open'));
      if (talk.isOver) break;
      talk.link.send(streamed(frame, ofKind(talk, 'open')));
    }
    this.#nonce += 1;
    const nonce = this.#nonce;
    talk.link.send({
      kind: 'heartbeat',
      nonce,
      now: Date.now(),
      last: 0,
      cursor: 0,
      joining: true,
    });
    const isObeyed = () => talk.heard.some((one) => one.kind === 'echo' && one.nonce === nonce);
    await heardUntil(talk, 'the end of it', () => talk.isOver || isObeyed());
    if (talk.isOver) this.ended += 1;
    else talk.link.close('it is over');
  }

  async #open(): Promise<Conversation> {
    const link = await until('a connection', () =>
      dialPeer(this.#url, this.#options).catch(() => undefined),
    );
    const talk: Conversation = { link, heard: [], isOver: false, moved: () => undefined };
    link.use({
      received(frame) {
        talk.heard.push(frame);
        talk.moved();
      },
      drained: () => undefined,
      gone() {
        talk.isOver = true;
        talk.moved();
      },
    });
    return talk;
  }

  /** Some frames that a node may say, in an order in which it may. */
  #speech(victim: number): PlainFrame[] {
    const pair = [AUTHOR, this.#place];
    const begin = { kind: 'begin', stream: 0, mode: 'stream', last: 1_000, covers: [], retryMs: 0 };
    const ask = { kind: 'open', stream: 1, scope: 'all', cursors: [pair], direct: [AUTHOR] };
    return [
      begin,
      this.#batch(1),
      this.#batch(2),
      { ...ask, window: 100_000 },
      { kind: 'pageRequest', request: 1, table: 'Item' },
      { kind: 'digestRequest', request: 2 },
      { kind: 'digestRequest', request: 3, table: 'Item' },
      { kind: 'purge', item: this.#invalidation() },
      { kind: 'ack', stream: 1, ordinal: 1, cursor: 0 },
      { kind: 'purged', author: victim, sequence: 1 },
      { kind: 'members', members: [] },
      { kind: 'page', request: 9, rows: [] },
    ].slice(0, 6 + this.#random(6));
  }

  #batch(ordinal: number): PlainFrame {
    this.#place += 1;
    const place = this.#place;
    const stamp = { version: versionAt(epochMs(Date.now())), author: AUTHOR };
    const forever = 8_640_000_000_000_000;
    const state = {
      base: { ...stamp, kind: 'put' },
      times: {
        ...stamp,
        storedAt: Date.now(),
        freshUntil: forever,
        evictAt: forever,
        staleWhileRevalidateUntil: 0,
        staleIfErrorUntil: 0,
      },
      content: { contentType: 'application/json' },
      body: Buffer.from(`{"id":"evil-${place}","name":"evil","count":1}`),
      touched: {
        count: {
          place: 2,
          counter: { from: 1, sums: { [AUTHOR]: { sum: 2, version: stamp.version + 1 } } },
        },
      },
    };
    const origin = { author: AUTHOR, sequence: place, after: place - 1 };
    const item = { kind: 'row', table: 'Item', id: `evil-${place}`, state, origin };
    return {
      kind: 'batch',
      stream: 0,
      ordinal,
      items: [item],
      cursors: [[AUTHOR, place]],
      at: place,
      last: 1_000,
    };
  }

  #invalidation(): PlainFrame {
    this.#place += 1;
    const origin = { author: AUTHOR, sequence: this.#place, after: this.#place - 1 };
    const version = versionAt(epochMs(Date.now()));
    const scope = { kind: 'key', id: 'nothing' };
    return {
      kind: 'invalidation',
      table: 'Item',
      scope,
      soft: false,
      reason: 'purge',
      version,
      origin,
    };
  }

  /** The frame with one thing in it changed. */
  #changed(frame: PlainFrame): PlainFrame {
    const copy = structuredClone(frame) as Mutable;
    let holder = copy;
    for (;;) {
      const names = Object.keys(holder).filter((name) => name !== 'members');
      const name = names[this.#random(names.length)];
      if (name === undefined) break;
      const value = holder[name];
      const goesOn = typeof value === 'object' && value !== null && this.#random(4) > 0;
      if (goesOn && !(value instanceof Uint8Array) && Object.keys(value).length > 0) {
        holder = value as Mutable;
        continue;
      }
      this.#harm(holder, name, value);
      break;
    }
    return copy;
  }

  #harm(holder: Mutable, name: string, value: unknown): void {
    const kind = this.#random(6);
    if (kind === 0) delete holder[name];
    else if (kind === 1) holder[`${name}x`] = value;
    else if (kind === 2 && typeof value === 'number') holder[name] = value + this.#random(3) - 1;
    else if (kind === 3 && Array.isArray(value)) holder[name] = Array(5_000).fill(value[0]);
    else holder[name] = this.#poison();
  }

  #poison(): unknown {
    const poisons = [
      ...[null, true, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 63)],
      ...['', 'x'.repeat(20_000), '\ud800', '../../etc', '\u0000', '__proto__', 'row', 'snapshot'],
      ...[[], {}, [[]], [null], { kind: 'put' }, Buffer.alloc(0), Buffer.from('{"id":'), deep(60)],
      versionAt(epochMs(Date.now() + TEN_YEARS_MS)),
      Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`k${at}`, at])),
      JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
      Buffer.alloc(9 * 1_024 * 1_024),
    ];
    return poisons[this.#random(poisons.length)];
  }
}

const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);

const ofKind = ({ heard }: Conversation, kind: string): PlainFrame | undefined =>
  heard.findLast((frame) => frame.kind === kind);

/** Under the number of the stream that was opened, unless that is what was changed. */
const streamed = (frame: PlainFrame, open: PlainFrame | undefined): PlainFrame =>
  frame.stream === 0 && open !== undefined ? { ...frame, stream: open.stream } : frame;
