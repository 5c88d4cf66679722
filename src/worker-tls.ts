/**
 * The certificates of one thread: read at start, exchanged on reload, watched for their end. An
 * engine that cannot do what is configured is refused at start, with what to do instead.
 */
import { NodeError } from './base/errors.ts';
import type { Config, OcspConfig } from './config/config.ts';
import type { ReloadPart } from './config/reload.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import type { HttpEngine } from './protocols/http/port.ts';
import { TlsCertificates } from './protocols/http/tls-files.ts';

const DAY_MS = 86_400_000;
const LOOK_EVERY_MS = 3_600_000;
/** Days before the end at which it is said, again at each. */
const ALARM_DAYS = [1, 7, 30] as const;

/** `undefined` without TLS. Throws `CONFIG_INVALID`. */
export function openCertificates({ tls }: Config, engine: HttpEngine): TlsCertificates | undefined {
  if (tls === undefined) return undefined;
  const beyond = tls.clientCa !== undefined ? 'tls.clientCa' : 'tls.hosts';
  if (engine === 'uws' && (tls.clientCa !== undefined || tls.hosts.length > 0)) {
    const message =
      `http.engine is "uws", which cannot do what ${beyond} asks for: ` +
      'its builds show no client certificates and know one certificate only; use "auto" or "node"';
    throw new NodeError('CONFIG_INVALID', message);
  }
  if (tls.ocsp !== undefined && tls.clientCa === undefined) {
    const message = 'tls.ocsp asks about client certificates, and no authority is believed';
    throw new NodeError('CONFIG_INVALID', `${message}; set tls.clientCa too`);
  }
  return new TlsCertificates(tls);
}

/** Takes new files over, under the same names or others. */
export function certificatesPart(
  certificates: TlsCertificates | undefined,
  engine: HttpEngine,
  ocsp: OcspConfig | undefined,
): ReloadPart {
  const asked = JSON.stringify(ocsp);
  return {
    name: 'certificates',
    settings: ['tls'],
    prepare({ config: { tls } }) {
      const nothing = { changes: [], apply: () => undefined };
      if ((tls === undefined) !== (certificates === undefined)) {
        return { ...nothing, restarts: ['TLS is switched on or off at start only'] };
      }
      if (tls === undefined || certificates === undefined) return nothing;
      if (JSON.stringify(tls.ocsp) !== asked) {
        return { ...nothing, restarts: ['whom tls.ocsp asks is settled at start'] };
      }
      const apply = certificates.prepare(tls);
      if (apply === undefined) return nothing;
      if (engine === 'uws') {
        return { ...nothing, restarts: ['uWebSockets.js reads its certificate at start only'] };
      }
      return { changes: ['other certificates for new connections'], apply };
    },
  };
}

/** Registers the metric, and says in the log when an end is near. Returns what ends that. */
export function watchExpiry(
  certificates: TlsCertificates | undefined,
  { metrics, log, nowMs }: { metrics: ArrayMetrics; log: Log; nowMs: () => number },
): () => void {
  if (certificates === undefined) return () => undefined;
  metrics.gauge(
    'millrace_tls_certificate_expiry_seconds',
    'Seconds until a certificate ends; below zero it has',
    'first',
    function* () {
      for (const { host, expiresAt } of certificates.expiries) {
        yield { labels: { host }, value: Math.round((expiresAt - nowMs()) / 1000) };
      }
    },
  );
  const said = new Map<string, number>();
  const look = () => {
    for (const { host, file, expiresAt } of certificates.expiries) {
      const days = (expiresAt - nowMs()) / DAY_MS;
      const mark = ALARM_DAYS.find((one) => days <= one);
      const key = `${host} ${expiresAt}`;
      if (mark === undefined || (said.get(key) ?? Number.POSITIVE_INFINITY) <= mark) continue;
      said.set(key, mark);
      const facts = { host, file, expiresAt: new Date(expiresAt).toISOString() };
      const cure = 'put a new one in its place and run `millrace reload`';
      if (days <= 0) log.error(facts, `the certificate has ended: clients refuse it; ${cure}`);
      else
        log.warn(facts, `the certificate ends within ${mark} day${mark === 1 ? '' : 's'}; ${cure}`);
    }
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
