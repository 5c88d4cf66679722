/**
 * WebSockets at the paths of application code: what its `connect` yields goes to the client, one
 * message each, at the client's pace; what the client says comes in by a stream. Whether the
 * client may is answered before the upgrade, as HTTP. Messages are JSON, or as the sub-protocol
 * says; bytes stay bytes.
 */
import type { Standing } from '../../access/authenticate.ts';
import { StandingWatch } from '../../access/standing-watch.ts';
import type { Clock } from '../../base/clock.ts';
import { asNodeError, type ErrorCode, NodeError } from '../../base/errors.ts';
import { MessageStream } from '../../resource/message-stream.ts';
import type { HttpRequest, Socket, UpgradeVerdict, WebSocketHandler } from '../http/port.ts';
import { CLOSE_CODES } from './close-codes.ts';
import type { CodeStreamAt } from './code-stream.ts';
import { refusal } from './gateway.ts';
import type { Identified } from './live-desk.ts';
import { chosenFormat, type LiveFormat } from './live-format.ts';

export interface CodeSocketsParts<Principal> {
  readonly clock: Clock;
  readonly match: CodeStreamAt<Principal>;
  readonly authenticate: (asking: HttpRequest) => Identified<Principal>;
  readonly settle: (asking: HttpRequest) => Promise<void> | undefined;
  readonly onRejected: (method: string) => void;
}

/** A class, so that a socket is known to be code's by its state. */
export class CodeSocketState {
  readonly incoming = new MessageStream();
  readonly aborting = new AbortController();
  readonly format: LiveFormat;
  readonly standing: Standing;
  /** Begins what the code yields; `undefined` once it has ended. */
  readonly begin: () => Promise<AsyncIterableIterator<unknown>>;
  readonly failure: (thrown: unknown) => NodeError;
  items: AsyncIterableIterator<unknown> | undefined;
  close: (code: ErrorCode) => void = () => undefined;
  #room: (() => void) | undefined;

  constructor(
    parts: Pick<CodeSocketState, 'format' | 'standing' | 'failure'> & {
      readonly begin: (state: CodeSocketState) => Promise<AsyncIterableIterator<unknown>>;
    },
  ) {
    this.format = parts.format;
    this.standing = parts.standing;
    this.failure = parts.failure;
    this.begin = () => parts.begin(this);
  }

  awaitRoom(): Promise<void> {
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }
  hasRoom(): void {
    this.#room?.();
    this.#room = undefined;
  }
}

type State = CodeSocketState;

export class CodeSockets<Principal> implements WebSocketHandler<State> {
  readonly #parts: CodeSocketsParts<Principal>;
  readonly #sockets = new Set<Socket<State>>();
  readonly #watch: StandingWatch;
  #stopping = false;

  constructor(parts: CodeSocketsParts<Principal>) {
    this.#parts = parts;
    this.#watch = new StandingWatch(parts.clock);
  }

  takes(request: HttpRequest): boolean {
    return this.#parts.match(request.path) !== undefined;
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  async upgrade(request: HttpRequest): Promise<UpgradeVerdict<State>> {
    const { match, authenticate, settle, onRejected } = this.#parts;
    const code = match(request.path);
    await settle(request);
    const identified = authenticate(request);
    if (identified.kind === 'rejected') {
      onRejected(identified.method);
      return refusal(identified.error);
    }
    if (code === undefined || this.#stopping) {
      return refusal(new NodeError('SHUTTING_DOWN', 'this node is stopping', { retry: 'later' }));
    }
    const { principal, standing } = identified;
    try {
      await code.admit(request, principal);
    } catch (thrown) {
      return refusal(code.failure(thrown, request));
    }
    const { format, protocol } = chosenFormat(request.header('sec-websocket-protocol'));
    const state = new CodeSocketState({
      ...{ format, standing },
      failure: (thrown) => code.failure(thrown, request),
      begin: ({ incoming, aborting: { signal } }) =>
        code.open(request, principal, { incoming, signal }),
    });
    return { kind: 'accept', protocol, state };
  }

  open(socket: Socket<State>): void {
    const { state } = socket;
    this.#sockets.add(socket);
    state.close = (code) => socket.close(CLOSE_CODES[code], code);
    this.#watch.add(state, state.standing);
    void this.#pump(socket);
  }

  message(socket: Socket<State>, data: Uint8Array, binary: boolean): void {
    const { incoming, format } = socket.state;
    incoming.send(said(data, binary, format));
    if (incoming.overrun) socket.close(CLOSE_CODES.OVERLOADED, 'OVERLOADED');
  }

  drain(socket: Socket<State>): void {
    socket.state.hasRoom();
  }

  closed(socket: Socket<State>): void {
    const { state } = socket;
    this.#sockets.delete(socket);
    this.#watch.delete(state);
    state.hasRoom();
    state.aborting.abort();
    state.incoming.close();
    void state.items?.return?.();
  }

  stop(): void {
    this.#stopping = true;
    this.#watch.stop();
    for (const { state } of this.#sockets) state.close('SHUTTING_DOWN');
  }

  async #pump(socket: Socket<State>): Promise<void> {
    const { state } = socket;
    try {
      const items = await state.begin();
      state.items = items;
      for (;;) {
        if (socket.closed) {
          await items.return?.();
          return;
        }
        const { value, done } = await items.next();
        if (done === true) break;
        await send(socket, value);
      }
      if (!socket.closed) socket.close(1000, '');
    } catch (thrown) {
      const { code } = state.failure(thrown);
      if (!socket.closed) socket.close(CLOSE_CODES[code], code);
    }
  }
}

async function send(socket: Socket<State>, item: unknown): Promise<void> {
  if (socket.closed) return;
  const { state } = socket;
  const isBytes = item instanceof Uint8Array;
  const bytes = isBytes ? item : state.format.encode(item);
  const result = socket.send(bytes, isBytes || state.format.isBinary);
  if (result === 'buffered') await state.awaitRoom();
  else if (result === 'dropped' && !socket.closed) state.close('OVERLOADED');
}

/** What the client said: a value where it is one, its text or its bytes where it is not. */
function said(data: Uint8Array, binary: boolean, format: LiveFormat): unknown {
  if (binary && !format.isBinary) return Buffer.from(data);
  try {
    return format.decode(data);
  } catch (error) {
    if (asNodeError(error).code !== 'BODY_MALFORMED') throw error;
    return binary ? Buffer.from(data) : Buffer.from(data).toString('utf8');
  }
}
