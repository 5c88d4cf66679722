/**
 * HTTP/2 on connections which the TLS listener hands over: requests become exchanges like all
 * others. What a peer may make a session hold is bounded: streams at once, fields, settings, pings,
 * memory, and streams that are opened only to be reset, for which a session is ended.
 */
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { LIMITS } from '../../../config/limits.ts';
import { CHUNKED } from '../framing.ts';
import type { HttpLimits } from '../port.ts';
import { RequestCopy } from '../request-copy.ts';
import { SocketPeer } from './peer.ts';

export interface Http2Hooks {
  readonly limits: HttpLimits;
  serve(stream: ServerHttp2Stream, request: RequestCopy): void;
  limitHit(limit: string): void;
}

type StreamEvent = [ServerHttp2Stream, RequestHeaders, number, (readonly string[])?];
type RequestHeaders = IncomingHttpHeaders & {
  ':path'?: string;
  ':method'?: string;
  ':authority'?: string;
};

const MEGABYTES_MAX = 8;
const RESET_WINDOW_MS = 10_000;

export class Http2Side {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** The connection of the session that is being opened. */
  #taking: Socket | undefined;
  readonly #hooks: Http2Hooks;

  constructor(hooks: Http2Hooks) {
    this.#hooks = hooks;
    const { limits } = hooks;
    this.#server = createServer({
      maxSessionMemory: MEGABYTES_MAX,
      maxSessionInvalidFrames: 32,
      maxSessionRejectedStreams: 64,
      maxOutstandingPings: 8,
      maxSettings: 32,
      // The four of HTTP/2 itself come on top.
      maxHeaderListPairs: limits.headerCountMax + 4,
      settings: {
        enablePush: false,
        maxConcurrentStreams: LIMITS.http2StreamsMax,
        maxHeaderListSize: limits.headBytesMax,
      },
    });
    this.#server.on('session', (session) => this.#opened(session));
    // The raw fields are handed over too, of which the typings do not know.
    this.#server.on('stream', (...[stream, headers, , raw]: StreamEvent) =>
      this.#stream(stream, headers, raw),
    );
    this.#server.on('sessionError', () => undefined);
  }

  take(socket: Socket): void {
    this.#taking = socket;
    this.#server.emit('connection', socket);
    this.#taking = undefined;
  }

  /** Lets open streams finish and takes no new ones. */
  stopAccepting(): void {
    for (const session of this.#sessions) session.close();
  }

  #opened(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.on('error', () => undefined);
    this.#endIdle(session, this.#taking);
    const resets: number[] = [];
    session.on('stream', (stream: ServerHttp2Stream) => {
      stream.once('close', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
        this.#reset(session, resets);
      });
    });
  }

  /**
   * A session on which nothing moves is closed, once what it was asked for is answered; and when
   * nothing moves for as long again, its connection is cut. Node at times waits for ever for a peer
   * that has gone: it reads no more while it has something to write.
   */
  #endIdle(session: ServerHttp2Session, socket: Socket | undefined): void {
    const idleMs = this.#hooks.limits.idleTimeoutSeconds * 1000;
    session.setTimeout(idleMs);
    session.on('timeout', () => {
      if (session.closed) {
        socket?.destroy();
      } else {
        session.close();
        session.setTimeout(idleMs);
      }
    });
  }

  /** [CVE-2023-44487] Opening and resetting costs the peer nothing, and us a request each. */
  #reset(session: ServerHttp2Session, resets: number[]): void {
    const now = performance.now();
    resets.push(now);
    if (resets.length <= LIMITS.http2ResetsMax) return;
    const first = resets.shift() ?? now;
    if (now - first > RESET_WINDOW_MS || session.destroyed) return;
    this.#hooks.limitHit('http2ResetsMax');
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #stream(
    stream: ServerHttp2Stream,
    headers: RequestHeaders,
    raw: readonly string[] | undefined,
  ): void {
    const target = headers[':path'] ?? '';
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    const query = mark < 0 ? '' : target.slice(mark + 1);
    const fields = requestFields(raw ?? [], headers[':authority']);
    const request = new RequestCopy(headers[':method'] ?? '', path, query, fields);
    const socket = stream.session?.socket;
    if (socket !== undefined) request.peer = new SocketPeer(socket as Socket);
    // Without a length only the last frame tells.
    request.bodyFraming = stream.endAfterHeaders ? 0 : CHUNKED;
    this.#hooks.serve(stream, request);
  }
}

/** As HTTP/1.1 would have them: the authority is the Host [RFC9113 §8.3.1]. */
function requestFields(raw: readonly string[], authority: string | undefined): string[] {
  const fields = authority === undefined ? [] : ['host', authority];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (name.startsWith(':') || (name === 'host' && authority !== undefined)) continue;
    fields.push(name, raw[i + 1] ?? '');
  }
  return fields;
}
