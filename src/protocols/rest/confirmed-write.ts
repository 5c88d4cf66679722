/**
 * `X-Replicate-To: 2;confirm=1`, or names of nodes instead of their number: the answer to a write
 * waits until so many other nodes hold it as durably as this one. The write itself is done; when
 * not enough confirm in time the answer is 504 and names those that did not.
 */
import { NodeError } from '../../base/errors.ts';
import {
  type Confirmation,
  NO_NODES,
  unconfirmed,
  type WantedConfirmation,
} from '../../table/confirmation.ts';
import { CapturedExchange } from '../http/captured-exchange.ts';
import type { Exchange } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';
import type { RestCall } from './rest-call.ts';

/** Resolves when they have, or when time is up. Rejects where there are no other nodes. */
export type ConfirmWrite = (wanted: WantedConfirmation) => Promise<Confirmation>;

const FIELD = 'x-replicate-to';

/** `X-Replicate-To: none`: what is written stays on this node (`LOCAL_ONLY`). */
export const staysHere = ({ request }: Exchange): boolean =>
  request.header(FIELD)?.trim() === NO_NODES;

/** What the request asks for; `undefined`: not to wait. Throws `REQUEST_MALFORMED`. */
export function wantedConfirmation({ request }: Exchange): WantedConfirmation | undefined {
  const field = request.header(FIELD);
  if (field === undefined) return undefined;
  const [targets = '', ...parameters] = field.split(';').map((part) => part.trim());
  const names = targets.split(',').map((name) => name.trim());
  const isCount = /^\d{1,3}$/.test(targets);
  const confirm = parameters.map((each) => /^confirm=(\d{1,3})$/.exec(each)?.[1]);
  const areNames = names.every((name) => /^[A-Za-z0-9*][\w.-]{0,62}$/.test(name));
  if (!areNames || confirm.length > 1 || confirm.some((each) => each === undefined)) {
    const told = `${FIELD}: ${field.slice(0, 80)} cannot be read`;
    const detail = `${told}; write 2;confirm=1, a,b;confirm=2 or none`;
    throw new NodeError('REQUEST_MALFORMED', detail, { blame: 'client' });
  }
  const least = Number(confirm[0] ?? 0);
  if (least === 0) return undefined;
  if (targets === NO_NODES) {
    const detail = `${FIELD}: none keeps the write on this node: nobody can confirm it`;
    throw new NodeError('REQUEST_MALFORMED', `${detail}; leave out confirm`, { blame: 'client' });
  }
  const isAny = isCount || targets === '*';
  return { least, nodes: isAny ? undefined : names };
}

/** Runs a write and passes its answer on when it has been confirmed. */
export async function confirmedWrite(
  call: RestCall,
  wanted: WantedConfirmation,
  confirm: ConfirmWrite,
  write: (call: RestCall) => void | Promise<void>,
): Promise<void> {
  const { exchange, limits } = call;
  const captured = new CapturedExchange(exchange, (bytesMax) =>
    // Its answer waits: what it is made from must not be large.
    exchange.body(Math.min(bytesMax, limits.bytesMax)),
  );
  const writing = Promise.resolve(write({ ...call, exchange: captured }));
  const answer = await Promise.race([captured.answered, writing.then(() => captured.answered)]);
  await writing;
  if (answer.kind === 'streamed') {
    answer.begin(answer.status, answer.headers);
    return;
  }
  const isDone = answer.status >= 200 && answer.status < 300;
  const problem = isDone ? unconfirmed(wanted, await confirm(wanted)) : undefined;
  if (exchange.aborted) return;
  if (problem === undefined) exchange.reply(answer.status, answer.headers, answer.body);
  else replyProblem(exchange, problem);
}
