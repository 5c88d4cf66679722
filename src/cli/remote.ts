/**
 * Requests of a command to a running node. What keeps one from being answered is said with its
 * cause and cure; the answer itself, whatever its status, is the caller's.
 */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import path from 'node:path';
import type { Terminal } from './terminal.ts';
import type { RemoteFlags, TransferFormat } from './transfer-flags.ts';

/** What a command cannot go on with; `isUsage`: the command line is at fault. */
export class TransferError extends Error {
  readonly isUsage: boolean;

  constructor(message: string, options: { readonly isUsage?: boolean } = {}) {
    super(message);
    this.isUsage = options.isUsage ?? false;
  }
}

export interface RemoteRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Path and query below the node's address. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

/** Resolves with the beginning of the answer. Rejects with a `TransferError`. */
export async function ask(
  flags: Pick<RemoteFlags, 'url' | 'username' | 'password'>,
  env: Terminal['env'],
  asked: RemoteRequest,
): Promise<IncomingMessage> {
  const url = addressOf(flags, asked.target);
  const username = flags.username ?? env.MILLRACE_ADMIN_USERNAME;
  const password = flags.password ?? env.MILLRACE_ADMIN_PASSWORD;
  const auth = username === undefined ? undefined : `${username}:${password ?? ''}`;
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const sending = request(url, { method: asked.method, headers: asked.headers, auth });
  sending.end(asked.body);
  try {
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    return response;
  } catch (cause) {
    const why = cause instanceof Error && cause.message !== '' ? cause.message : String(cause);
    throw new TransferError(
      `${url.origin} did not answer (${why}): is the node running there? --url says where it is`,
    );
  }
}

function addressOf({ url }: Pick<RemoteFlags, 'url'>, target: string): URL {
  try {
    const address = new URL(target, url);
    if (address.protocol === 'http:' || address.protocol === 'https:') return address;
  } catch {
    // Said below.
  }
  throw new TransferError(`--url ${url} is no http or https address`, { isUsage: true });
}

/** As asked for, or as the name of the file says. */
export function formatOf(flags: RemoteFlags, file: string): TransferFormat {
  if (flags.format !== undefined) return flags.format;
  const extension = path.extname(file).toLowerCase();
  if (extension === '.csv') return 'csv';
  if (extension === '.json') return 'json';
  if (extension === '.ndjson' || extension === '.jsonl') return 'ndjson';
  const message = `${file}: its name does not tell the format; give --format csv, ndjson or json`;
  throw new TransferError(message, { isUsage: true });
}
