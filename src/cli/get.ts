/**
 * `millrace get`: reads as a client would and explains the answer: its status, its fields, and in
 * words what the cache did (`Cache-Status`, RFC 9211).
 */
import { text } from 'node:stream/consumers';
import { exitCodeOf, printed } from './admin-client.ts';
import { ask } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface GetFlags {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly body?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export function getAnswer(what: string, flags: GetFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const isUrl = /^https?:\/\//i.test(what);
    const url = isUrl ? new URL(what) : undefined;
    const target = url === undefined ? `/${what.replace(/^\//, '')}` : url.pathname + url.search;
    const base = url?.origin ?? flags.url;
    const asked = { method: 'GET', target, headers: {} } as const;
    // Without --username as anybody: what the cache does for the administrator is another thing.
    const response = await ask({ ...flags, url: base }, {}, asked);
    const body = await text(response);
    const { statusCode: status = 0, headers } = response;
    const verdict = explainCacheStatus(String(headers['cache-status'] ?? ''));
    if (flags.json === true) terminal.out(printed({ status, headers, verdict, body }));
    else {
      terminal.out(`${status}  ${verdict}`);
      for (const [name, value] of Object.entries(headers))
        terminal.out(`${name}: ${String(value)}`);
      if (flags.body === true) terminal.out(`\n${body}`);
    }
    return status < 400 ? EXIT.clean : EXIT.fault;
  });
}

const FORWARDED: Readonly<Record<string, string>> = {
  'uri-miss': 'nothing was stored under this URL',
  'vary-miss': 'no variant was stored for these fields of the request',
  miss: 'what was stored may not be used any more',
  stale: 'what is stored was stale',
  request: 'the request asked for it',
  method: 'the method is not one that is answered from a cache',
  bypass: 'the policy does not let it be looked up',
  partial: 'only a part is stored',
};

/** [RFC9211 §2] */
export function explainCacheStatus(field: string): string {
  if (field === '') return 'no cache said anything about it';
  const parameters = new Map(
    field.split(';').map((part) => {
      const [name = '', value = ''] = part.trim().split('=');
      return [name, value] as const;
    }),
  );
  const ttl = Number(parameters.get('ttl'));
  if (parameters.has('hit')) {
    if (Number.isNaN(ttl)) return 'answered from the store';
    return ttl >= 0
      ? `answered from the store, fresh for ${ttl} s more`
      : `answered from the store, stale for ${-ttl} s (${parameters.get('detail') ?? 'allowed'})`;
  }
  const why = FORWARDED[parameters.get('fwd') ?? ''] ?? 'it was not answered from the store';
  const status = parameters.get('fwd-status');
  const parts = [`the origin was asked: ${why}`];
  if (status !== undefined) parts.push(`it answered ${status}`);
  if (parameters.has('collapsed')) parts.push('together with others who waited');
  parts.push(parameters.has('stored') ? 'the answer is stored' : 'the answer was not stored');
  return parts.join('; ');
}
