/**
 * WebSockets at the paths of pages: the handshake goes to the origin as it came, which answers it
 * for itself; then its connection is joined with the client's. The origin also judges the `Origin`
 * field, of which only it knows who may come. What it answers instead of switching is handed on.
 */
import { asNodeError } from '../../base/errors.ts';
import { NEVER_STOPPED } from '../../base/stop.ts';
import { endToEnd, filterFields } from '../../cache/pages/fields.ts';
import type { PageOriginReply } from '../../cache/pages/ports.ts';
import { LIMITS } from '../../config/limits.ts';
import type { HttpRequest, UpgradeVerdict } from '../http/port.ts';
import { problemDocument } from '../http/problem.ts';
import type { PageResource } from './serve-pages.ts';
import { signedRequest } from './signed-page.ts';

type Verdict = UpgradeVerdict<never>;

export async function upgradePage(request: HttpRequest, resource: PageResource): Promise<Verdict> {
  const startedAt = resource.monotonic();
  const verdict = await verdictOf(request, resource).catch(failed);
  const status = verdict.kind === 'refuse' ? verdict.status : 101;
  resource.meter.answered(request.method, status, 'passed', startedAt, 0);
  return verdict;
}

async function verdictOf(request: HttpRequest, resource: PageResource): Promise<Verdict> {
  const { path, remoteAddress } = request;
  let { query } = request;
  if (resource.reads.policyOf(path).settings.client.signedUrls) {
    const signed = signedRequest(request, resource.signatures);
    if (signed.kind === 'refused') return failed(signed.error);
    query = signed.query;
  }
  const answered = await resource.reads.upgrade({
    target: query === '' ? path : `${path}?${query}`,
    client: {
      host: request.header('host') ?? '',
      scheme: request.toldScheme ?? resource.scheme,
      address: remoteAddress,
    },
    fields: [...request.headers()].flat(),
    // The attempt has a deadline of its own.
    signal: NEVER_STOPPED,
  });
  const goesOn = endToEnd(answered.fields);
  const headers = filterFields(
    answered.fields,
    (name) => goesOn(name) && name !== 'content-length',
  );
  if ('socket' in answered) return { kind: 'tunnel', origin: answered.socket, headers };
  return { kind: 'refuse', status: answered.status, headers, body: await refusalBody(answered) };
}

/** Nothing of it when it is too large, or breaks off. */
async function refusalBody({ body }: PageOriginReply): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > LIMITS.refusedUpgradeBytesMax) return new Uint8Array(0);
    }
  } catch {
    return new Uint8Array(0);
  }
  return Buffer.concat(chunks, bytes);
}

function failed(thrown: unknown): Verdict {
  const error = asNodeError(thrown);
  const problem = problemDocument(error);
  const headers = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (error.retry !== 'never') headers.push('retry-after', '1');
  return { kind: 'refuse', status: problem.status, headers, body: `${JSON.stringify(problem)}\n` };
}
