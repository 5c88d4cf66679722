/**
 * Which defaults of safety the configuration has loosened: each is said at every start and counted
 * in a metric, so that what was opened for a trial does not stay open unnoticed.
 */
import type { Application } from './application.ts';
import type { Config } from './config.ts';

const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** Below, a token can be found from a recorded sign-in of nodes. */
const TOKEN_CHARS = 20;

/** One line for each, with what to do about it. */
export function insecureSettings(config: Config, application: Application): readonly string[] {
  const { http, admin, mqtt, tls, cluster } = config;
  const isOpen = (host: string) => !LOOPBACK.test(host) && tls === undefined;
  const found: string[] = [];
  if (isOpen(config.host)) {
    found.push(
      `host ${config.host} without TLS: passwords and tokens can be read on the way; ` +
        'set tls.cert and tls.key, or put a proxy that has them before it',
    );
  }
  if (isOpen(admin.host)) {
    found.push(
      `admin.host ${admin.host} without TLS: keep the admin port on 127.0.0.1, or set tls`,
    );
  }
  const { token } = cluster;
  if (token !== undefined && token.length < TOKEN_CHARS && !LOOPBACK.test(config.host)) {
    found.push(
      `cluster.token of ${token.length} characters: whoever overhears the nodes may guess it; ` +
        'take one of openssl rand -base64 32',
    );
  }
  if (!mqtt.requireAuthentication) {
    found.push('mqtt.requireAuthentication false: anybody may connect; what they may do is public');
  }
  if (http.cors.origins.includes('*')) {
    found.push('http.cors.origins *: pages of every site may read what is public; name the sites');
  }
  if (http.allowedOrigins.includes('*')) {
    found.push('http.allowedOrigins *: pages of every site may open sockets; name the sites');
  }
  if (http.trustedProxies.some((one) => /\/0+$/.test(one))) {
    found.push(
      'http.trustedProxies of every network: clients say themselves from where they come, and ' +
        'limits by address hold nobody; name the proxies',
    );
  }
  for (const { name, keys, allowPrivate } of config.auth.issuers) {
    const { protocol, hostname } = new URL(keys);
    if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
      found.push(
        `auth.issuers ${name}: keys without TLS: whoever is on the way can sign for any of its ` +
          'users; use https',
      );
    }
    if (allowPrivate) {
      found.push(`auth.issuers ${name}: allowPrivate true: its keys may come from a private place`);
    }
  }
  for (const [name, source] of application.origins) {
    if (source.kind === 'settings' && source.settings.allowPrivate === true) {
      found.push(`origin ${name}: allowPrivate true: list the host:port it may reach instead`);
    }
  }
  return found;
}
