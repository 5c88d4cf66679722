/**
 * Operations of a running node for the commands: one POST to its admin port. What keeps it from
 * answering, and what it refuses, is said with its cause and cure.
 */
import { json } from 'node:stream/consumers';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

/** Where the node's admin port is, who asks, and how the answer is shown. */
export interface AdminFlags {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly json?: boolean | undefined;
}

export type Answer = Readonly<Record<string, unknown>>;

/** Rejects with a `TransferError`. */
export async function operate(
  flags: AdminFlags,
  { env }: Terminal,
  document: object,
): Promise<Answer> {
  const response = await ask(flags, env, {
    method: 'POST',
    target: '/',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(document)),
  });
  const answer = (await json(response).catch(() => ({}))) as Answer;
  if (response.statusCode === 200) return answer;
  throw refusal(response.statusCode ?? 0, answer);
}

function refusal(status: number, { detail, code }: Answer): TransferError {
  if (status === 401) {
    const message =
      'the node does not know these credentials: give --username and --password, or set ' +
      'MILLRACE_ADMIN_USERNAME and MILLRACE_ADMIN_PASSWORD';
    return new TransferError(message, { isUsage: true });
  }
  const why = typeof detail === 'string' ? detail : `it answered ${status} without a reason`;
  const isUsage = ['USAGE', 'OPERATION_UNKNOWN', 'TABLE_UNKNOWN', 'QUERY_INVALID'];
  return new TransferError(why, { isUsage: isUsage.includes(String(code)) });
}

/** Runs a command; what it cannot go on with is said, and is its exit code. */
export async function exitCodeOf(terminal: Terminal, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof TransferError)) throw error;
    terminal.err(error.message);
    return error.isUsage ? EXIT.usage : EXIT.fault;
  }
}

export const printed = (value: unknown): string => JSON.stringify(value, undefined, 2);
