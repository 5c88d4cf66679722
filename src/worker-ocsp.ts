/**
 * Client certificates and OCSP, on one thread: the responder is asked by the guarded client that
 * origins are asked with, since a certificate may name any address.
 */
import { CertificateStatus } from './access/identity/certificate-status.ts';
import type { Clock } from './base/clock.ts';
import type { Config, OcspConfig } from './config/config.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import { createAddressGuard } from './origin/address-guard.ts';
import { createAgent } from './origin/agent.ts';
import { createHttpClient } from './origin/http-client.ts';

const REPLY_BYTES_MAX = 64 * 1024;
const ASK_MS = 5_000;

/** `undefined` where nobody is asked. */
export function openCertificateStatus(
  { tls }: Config,
  clock: Clock,
  log: Log,
): CertificateStatus | undefined {
  const ocsp = tls?.ocsp;
  if (ocsp === undefined) return undefined;
  const { mode, responder } = ocsp;
  return new CertificateStatus({
    settings: { mode, responder: responder === undefined ? undefined : new URL(responder) },
    clock,
    ask: (url, question) => ask(ocsp, url, question),
    warn: (facts, message) => log.warn(facts, message),
  });
}

async function ask({ allowPrivate }: OcspConfig, url: URL, question: Buffer): Promise<Buffer> {
  const agent = createAgent({
    guard: createAddressGuard('OCSP responder', allowPrivate),
    connections: 1,
    connectTimeoutMs: ASK_MS,
    headersTimeoutMs: ASK_MS,
    bodyTimeoutMs: ASK_MS,
    headBytesMax: 16 * 1024,
  });
  const client = createHttpClient({
    ...{ name: 'OCSP responder', agent, bodyMax: REPLY_BYTES_MAX, redirectsMax: 0 },
    decompressionRatioMax: 100,
    decompressionFloorBytes: REPLY_BYTES_MAX,
    onBytes: () => undefined,
  });
  try {
    const { status, body } = await client.request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/ocsp-request',
        accept: 'application/ocsp-response',
      },
      body: question,
      signal: AbortSignal.timeout(ASK_MS),
    });
    if (status !== 200) throw new Error(`${url.origin} answered ${status}`);
    return Buffer.from(body);
  } finally {
    void client.close();
  }
}

export function countCertificateStatus(
  status: CertificateStatus | undefined,
  metrics: ArrayMetrics,
): void {
  if (status === undefined) return;
  const help = 'Client certificates asked about over OCSP, by what came of it';
  metrics.counter('millrace_ocsp_checks_total', help, function* () {
    for (const [outcome, value] of status.outcomes) yield { labels: { outcome }, value };
  });
}
