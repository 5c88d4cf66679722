/**
 * Obeys what clients say on `/live`: each message is answered or refused on its own, and nothing
 * that one says ends the socket. Writes go to the node's own handler as the requests that they
 * would be over HTTP, so that whoever may do what is decided there.
 */
import type { Standing } from '../../access/authenticate.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { InternalAnswer } from '../http/internal-exchange.ts';
import type { HttpRequest } from '../http/port.ts';
import { type Answering, acknowledgement, refusedWrite } from './answers.ts';
import { type Follower, type FollowingParts, LiveFollowing } from './live-following.ts';
import { type LiveMessage, parseLiveMessage, type Write } from './live-messages.ts';
import { clientError, malformed, refuse } from './refuse.ts';
import type { WriteTurns } from './write-turns.ts';

export type Identified<Principal> =
  | { readonly kind: 'principal'; readonly principal: Principal; readonly standing: Standing }
  | { readonly kind: 'rejected'; readonly method: string; readonly error: NodeError };

/** Answers a write of a client as the request that it would be over HTTP; never rejects. */
export type AskNode = (request: HttpRequest, body: Uint8Array) => Promise<InternalAnswer>;

export interface LiveParts<Principal> extends FollowingParts<Principal> {
  readonly authenticate: (asking: HttpRequest) => Identified<Principal>;
  /** Awaited before `authenticate` is asked. */
  readonly settle?: ((asking: HttpRequest) => Promise<void> | undefined) | undefined;
  /** Told of credentials that were rejected. */
  readonly onRejected?: ((method: string) => void) | undefined;
  /** Told of limits that refuse something on a socket. */
  readonly onLimit?: ((limit: string) => void) | undefined;
  /** Absent: clients may follow, and not write. */
  readonly ask?: AskNode | undefined;
  /** Whether one is the same somebody as the other; whoever is nobody may become somebody. */
  readonly isSame?: ((before: Principal, after: Principal) => boolean) | undefined;
}

/** One client of `/live`. */
export interface LiveClient<Principal> extends Follower<Principal> {
  readonly writes: WriteTurns;
  /** What was said while it signs in: heard once it is known who says it. */
  held: Uint8Array[] | undefined;
  /** Takes the place of the standing with which it came. */
  stand(standing: Standing): void;
}

export class LiveDesk<Principal> {
  readonly #parts: LiveParts<Principal>;
  readonly #following: LiveFollowing<Principal>;

  constructor(parts: LiveParts<Principal>, subscriptionsMax: number) {
    this.#parts = parts;
    this.#following = new LiveFollowing(parts, subscriptionsMax);
  }

  hear(client: LiveClient<Principal>, bytes: Uint8Array): void {
    const { connection, held } = client;
    if (held !== undefined) {
      if (fitsAmong(held, bytes)) held.push(bytes.slice());
      else refuse(connection, tooManyWrites());
      return;
    }
    let message: LiveMessage;
    try {
      message = parseLiveMessage(connection.format.decode(bytes));
    } catch (error) {
      const { message, details } = asNodeError(error);
      refuse(connection, malformed(message, details));
      return;
    }
    this.#obey(client, message);
  }

  #obey(client: LiveClient<Principal>, message: LiveMessage): void {
    const { connection } = client;
    switch (message.kind) {
      case 'subscribe':
        this.#following.subscribe(client, message);
        break;
      case 'unsubscribe':
        this.#following.unsubscribe(client, message);
        break;
      case 'presence':
        this.#following.followPresence(client, message);
        break;
      case 'write':
        this.#write(client, message);
        break;
      case 'signIn':
        this.#awaitSignIn(client, message.authorization, { ack: message.ack });
        break;
      case 'ping':
        connection.say({ type: 'pong' });
        break;
      case 'malformed': {
        const { reason, name, ack } = message;
        refuse(connection, malformed(reason), { sub: name, ack });
        break;
      }
    }
  }

  #write(client: LiveClient<Principal>, message: Write): void {
    const { connection, writes, credentials } = client;
    const { ask } = this.#parts;
    const { ack, verb, path } = message;
    const answering: Answering = { ack };
    if (ask === undefined) {
      refuse(connection, clientError('METHOD_NOT_ALLOWED', 'this node takes no writes'), answering);
      return;
    }
    const body = verb === 'delete' ? NOTHING : bodyOf(message);
    if (!writes.takes(body.byteLength)) {
      refuse(connection, tooManyWrites(), answering);
      return;
    }
    writes.run(path, body.byteLength, async () => {
      const answer = await ask(credentials.requestOf(message, body.byteLength), body);
      if (answer.status >= 400) connection.say(refusedWrite(answer, answering));
      else if (ack !== undefined) connection.say(acknowledgement(answer, message));
    });
  }

  /** What comes after it on the socket waits for it, as its sender expects. */
  #awaitSignIn(client: LiveClient<Principal>, authorization: string, answering: Answering): void {
    client.held = [];
    void this.#signIn(client, authorization, answering).finally(() => {
      const held = client.held ?? [];
      client.held = undefined;
      // Nothing is begun for a client that left meanwhile: nobody would end it.
      for (const bytes of held) if (client.connection.isOpen) this.hear(client, bytes);
    });
  }

  async #signIn(
    client: LiveClient<Principal>,
    authorization: string,
    answering: Answering,
  ): Promise<void> {
    const { connection, credentials } = client;
    const asking = credentials.asking(authorization);
    await this.#parts.settle?.(asking);
    if (!connection.isOpen) return;
    const found = this.#parts.authenticate(asking);
    if (found.kind === 'rejected') {
      this.#parts.onRejected?.(found.method);
      refuse(connection, found.error, answering);
      return;
    }
    if (this.#parts.isSame?.(client.principal, found.principal) === false) {
      refuse(connection, somebodyElse(), answering);
      return;
    }
    credentials.renew(authorization);
    const before = client.principal;
    client.principal = found.principal;
    client.stand(found.standing);
    if (before !== found.principal) connection.judgeAgain();
    if (answering.ack !== undefined)
      connection.say({ type: 'ack', ack: answering.ack, status: 204 });
  }
}

const NOTHING = new Uint8Array(0);

/** Whether another message may wait for a sign-in, beside those that do. */
function fitsAmong(held: readonly Uint8Array[], bytes: Uint8Array): boolean {
  const { liveWritesUnderWayMax, liveWriteBytesUnderWayMax } = LIMITS;
  const waiting = held.reduce((sum, one) => sum + one.byteLength, bytes.byteLength);
  return held.length < liveWritesUnderWayMax && waiting <= liveWriteBytesUnderWayMax;
}

/** As JSON, unless it is a text of another type. */
function bodyOf({ value, fields }: Write): Uint8Array {
  const type = fields[fields.indexOf('content-type') + 1] ?? '';
  const isOwnText = typeof value === 'string' && !/json/i.test(type);
  return Buffer.from(isOwnText ? value : (JSON.stringify(value) ?? 'null'));
}

const somebodyElse = () =>
  clientError('ACCESS_DENIED', 'these credentials are of somebody else: open another socket');

function tooManyWrites(): NodeError {
  const { liveWritesUnderWayMax: most } = LIMITS;
  const message = `${most} writes of this socket are under way: wait for their answers`;
  const details = { limit: 'liveWritesUnderWayMax' };
  return new NodeError('TOO_MANY_REQUESTS', message, { blame: 'client', retry: 'later', details });
}
