/**
 * `millrace tail <resource>`: follows a record, a collection or a query and prints each event as it
 * comes, by the event stream that browsers use. It comes back by itself, from where it was.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as later } from 'node:timers/promises';
import { exitCodeOf } from './admin-client.ts';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface TailFlags {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly json?: boolean | undefined;
  /** Position to begin after. */
  readonly from?: string | undefined;
  /** Events to print before it ends. */
  readonly count?: string | undefined;
}

interface StreamEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** One event, characters: more is no event of a node. */
const EVENT_CHARS_MAX = 8 * 1024 * 1024;
const PAUSE_MS_MAX = 30_000;

export function tailResource(what: string, flags: TailFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const left = { events: countOf(flags) };
    let from = flags.from ?? '';
    let pauseMs = 0;
    for (;;) {
      try {
        const response = await opened(what, flags, terminal, from);
        pauseMs = 0;
        for await (const event of eventsOf(response)) {
          if (event.id !== '') from = event.id;
          terminal.out(flags.json === true ? event.data : lineOf(event));
          left.events -= 1;
          if (left.events <= 0) {
            response.destroy();
            return EXIT.clean;
          }
        }
        terminal.err('the node ended the stream; coming back');
      } catch (error) {
        if (error instanceof TransferError && (error.isUsage || from === '')) throw error;
        terminal.err(`${error instanceof Error ? error.message : String(error)}; coming back`);
      }
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2 + 500);
      await later(pauseMs * (0.5 + Math.random() / 2));
    }
  });
}

function countOf({ count }: TailFlags): number {
  if (count === undefined) return Number.POSITIVE_INFINITY;
  const events = Number(count);
  if (Number.isSafeInteger(events) && events > 0) return events;
  throw new TransferError(`--count ${count} is no number of events`, { isUsage: true });
}

async function opened(
  what: string,
  flags: TailFlags,
  { env }: Terminal,
  from: string,
): Promise<IncomingMessage> {
  const target = what.startsWith('/') ? what : `/${what}`;
  const headers = {
    accept: 'text/event-stream',
    ...(from === '' ? {} : { 'last-event-id': from }),
  };
  const response = await ask(flags, env, { method: 'GET', target, headers });
  const { statusCode: status = 0 } = response;
  const isStream = response.headers['content-type']?.startsWith('text/event-stream') === true;
  if (status === 200 && isStream) return response;
  response.resume();
  if (status >= 500 || status === 429) {
    throw new TransferError(`the node answered ${status}`);
  }
  throw new TransferError(refusal(status, target), { isUsage: true });
}

function refusal(status: number, target: string): string {
  if (status === 401 || status === 403) {
    return `you may not follow ${target}: give --username and --password of somebody who may`;
  }
  if (status === 404) return `there is nothing at ${target}: try Table/ or Table/key`;
  return `${target} answered ${status} and no event stream: it cannot be followed`;
}

/** [WHATWG HTML §9.2.6] Comments, and fields of no meaning here, are passed over. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<StreamEvent> {
  let held = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    held += String(chunk);
    if (held.length > EVENT_CHARS_MAX) throw new TransferError('an event is too long');
    const blocks = held.split('\n\n');
    held = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== undefined) yield event;
    }
  }
}

function eventOf(block: string): StreamEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name !== '') fields.set(name, value);
  }
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id') ?? '', type: fields.get('event') ?? 'message', data };
}

interface Told {
  readonly at?: number;
  readonly id?: unknown;
  readonly value?: unknown;
  readonly values?: readonly unknown[];
  readonly ids?: readonly unknown[];
}

/** For people: when, what happened, to which record, what it is now; a line a row of a snapshot. */
function lineOf({ type, data }: StreamEvent): string {
  const told = parsed(data);
  if (typeof told !== 'object' || told === null) return data;
  const { at, id, value, values, ids } = told as Told;
  const when = at === undefined ? '' : `${new Date(at).toISOString().slice(11, 23)} `;
  const line = (which: unknown, what: unknown): string =>
    `${when}${type.padEnd(8)} ${which === undefined ? '' : `${String(which)} `}` +
    (what === undefined ? '' : JSON.stringify(what));
  if (values === undefined) return line(id ?? undefined, at === undefined ? told : value).trimEnd();
  if (values.length === 0) return `${when}snapshot of nothing`;
  return values.map((row, index) => line(ids?.[index], row)).join('\n');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
