/**
 * Every setting of the node, as data: its key in `millrace.yaml`, its reader, and the flag and
 * environment variable that stand above the file. `loadConfig` and the command line are both made
 * from this table, so a setting cannot exist in one of them only.
 */
import { isNetwork } from '../base/network.ts';
import { certificates, issuers, urlKeys } from './auth-settings.ts';
import { FIXED_LIMITS, limitBounds } from './limit-bounds.ts';
import { LIMIT_DEFAULTS, type LimitName } from './limits.ts';
import {
  count,
  duration,
  flag,
  listOf,
  nonEmpty,
  oneOf,
  port,
  type ReadBy,
  type Reader,
  reject,
  scalar,
  shape,
  size,
  textThat,
} from './readers.ts';
import { parseCount, parseDuration, parseSize } from './units.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export interface Setting<T> {
  readonly read: Reader<T>;
  readonly env?: string | undefined;
  readonly flag?: FlagDefinition | undefined;
}

export interface FlagDefinition {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for the value in a help text. */
  readonly argument: string;
  readonly description: string;
  /** May be given several times, all of which count; of any other flag the last counts. */
  readonly repeatable?: boolean | undefined;
}

const httpUrl = textThat(
  'an http or https URL',
  (written) => /^https?:/.test(written) && URL.canParse(written),
);

const THREADS_MAX = 64;

const threads: Reader<number | 'auto'> = scalar('auto, or a number from 1', (value) => {
  if (value === 'auto') return 'auto';
  const number = parseCount(value);
  return number !== undefined && number >= 1 && number <= THREADS_MAX ? number : undefined;
});

const host: Reader<string> = scalar('an address such as 127.0.0.1, :: or 0.0.0.0', (value) =>
  typeof value === 'string' && /^[\w.:%-]+$/.test(value) ? value : undefined,
);

/** Becomes part of metrics and of the protocol between nodes. */
const nodeName = textThat('letters, digits, . _ -, at most 63', (written) =>
  /^[A-Za-z0-9][\w.-]{0,62}$/.test(written),
);

const peer: Reader<string> = scalar('a URL such as ws://10.0.0.2:9933', (value) =>
  typeof value === 'string' && /^wss?:\/\/[^@/]+(\/|$)/.test(value) && URL.canParse(value)
    ? value
    : undefined,
);

const nats: Reader<string> = scalar('a URL such as nats://10.0.0.2:4222', (value) =>
  typeof value === 'string' && /^(nats|tls):\/\/./.test(value) && URL.canParse(value)
    ? value
    : undefined,
);

const natsReplicas: Reader<number> = scalar('1, 3 or 5', (value) => {
  const number = parseCount(value);
  return number !== undefined && [1, 3, 5].includes(number) ? number : undefined;
});

const natsDomain = textThat('letters, digits, _ -', (written) => /^[\w-]{1,63}$/.test(written));

const webOrigin: Reader<string> = scalar(
  '* or an origin such as https://app.example.com',
  (value) => {
    if (value === '*') return '*';
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const { origin } = new URL(value);
    return origin === value.replace(/\/$/, '') ? origin : undefined;
  },
);

const network: Reader<string> = scalar('an address, or a network such as 10.0.0.0/8', (value) =>
  typeof value === 'string' && isNetwork(value) ? value : undefined,
);

const fieldName: Reader<string> = textThat('the name of a header field', (written) =>
  /^[!#$%&'*+.^_`|~\w-]+$/.test(written),
);

/** The certificate of one host name, or of `*.` with one label in its place. */
const hostCertificate: Reader<HostCertificate> = (node, path, problems) => {
  const found = hostShape(node, path, problems);
  if (found === undefined) return undefined;
  const { host: name, cert, key, passphrase } = found;
  if (name === undefined || cert === undefined || key === undefined) {
    return reject(node, path, 'host, cert and key', problems);
  }
  return { host: name, cert, key, passphrase };
};

const hostShape = shape({ host: nonEmpty, cert: nonEmpty, key: nonEmpty, passphrase: nonEmpty });

/** Which rows travel between this node and others; the first rule that fits one decides. */
const selectionRule: Reader<SelectionRule> = (node, path, problems) => {
  const found = ruleShape(node, path, problems);
  if (found === undefined) return undefined;
  const { direction, ...which } = found;
  if (direction !== undefined) return { ...which, direction };
  // One that is wrong has been said.
  const isSaid = node.kind === 'map' && node.entries.has('direction');
  return isSaid ? undefined : reject(node, path, 'a direction', problems);
};

const ruleShape = shape({
  database: nonEmpty,
  table: nonEmpty,
  prefix: nonEmpty,
  direction: oneOf(['both', 'send', 'receive', 'none']),
});

export interface SelectionRule {
  readonly database?: string | undefined;
  readonly table?: string | undefined;
  /** Beginning of the key. */
  readonly prefix?: string | undefined;
  readonly direction: 'both' | 'send' | 'receive' | 'none';
}

/** Of a certificate, in hexadecimal, with or without colons. */
const serialNumber = textThat('the serial number of a certificate, in hexadecimal', (written) =>
  /^[0-9A-Fa-f:]{2,64}$/.test(written),
);

export interface HostCertificate {
  readonly host: string;
  readonly cert: string;
  readonly key: string;
  readonly passphrase: string | undefined;
}

export const SETTINGS = {
  data: {
    read: nonEmpty,
    env: 'MILLRACE_DATA',
    flag: { name: 'data', argument: 'DIR', description: 'folder of the store' },
  },
  host: {
    read: host,
    env: 'MILLRACE_HOST',
    flag: { name: 'host', argument: 'H', description: 'address on which every port listens' },
  },
  threads: {
    read: threads,
    env: 'MILLRACE_THREADS',
    flag: {
      name: 'threads',
      argument: 'N',
      description: 'threads that serve the app port, or auto',
    },
  },
  extensions: { read: listOf(nonEmpty) },
  'http.port': {
    read: port,
    env: 'MILLRACE_HTTP_PORT',
    flag: { name: 'http-port', argument: 'N', description: 'app port; 0 takes any free one' },
  },
  'http.engine': { read: oneOf(['auto', 'uws', 'node']), env: 'MILLRACE_HTTP_ENGINE' },
  'http.uwsPath': { read: nonEmpty, env: 'MILLRACE_UWS_PATH' },
  'http.allowedOrigins': { read: listOf(webOrigin) },
  'http.allowedHosts': { read: listOf(nonEmpty) },
  'http.trustedProxies': { read: listOf(network) },
  'http.cors.origins': { read: listOf(webOrigin) },
  'http.cors.headers': { read: listOf(fieldName) },
  'http.cors.exposeHeaders': { read: listOf(fieldName) },
  'http.cors.credentials': { read: flag },
  'http.cors.maxAge': { read: duration },
  'admin.port': {
    read: port,
    env: 'MILLRACE_ADMIN_PORT',
    flag: {
      name: 'admin-port',
      argument: 'N',
      description: 'port of operations, metrics and health',
    },
  },
  'admin.host': { read: host, env: 'MILLRACE_ADMIN_HOST' },
  'admin.username': { read: nonEmpty, env: 'MILLRACE_ADMIN_USERNAME' },
  'admin.password': { read: nonEmpty, env: 'MILLRACE_ADMIN_PASSWORD' },
  'auth.issuers': { read: issuers },
  'auth.urlKeys': { read: urlKeys },
  'auth.certificates': { read: certificates },
  'mqtt.port': {
    read: port,
    env: 'MILLRACE_MQTT_PORT',
    flag: { name: 'mqtt-port', argument: 'N', description: 'MQTT port' },
  },
  'mqtt.requireAuthentication': { read: flag },
  'replication.port': {
    read: port,
    env: 'MILLRACE_REPLICATION_PORT',
    flag: { name: 'replication-port', argument: 'N', description: 'port for other nodes' },
  },
  'log.level': {
    read: oneOf(LOG_LEVELS),
    env: 'MILLRACE_LOG_LEVEL',
    flag: { name: 'log-level', argument: 'L', description: LOG_LEVELS.join(', ') },
  },
  'accessLog.file': { read: nonEmpty, env: 'MILLRACE_ACCESS_LOG' },
  'accessLog.format': { read: oneOf(['combined', 'json']), env: 'MILLRACE_ACCESS_LOG_FORMAT' },
  'store.durability': { read: oneOf(['flushed', 'process']), env: 'MILLRACE_STORE_DURABILITY' },
  'tls.cert': {
    read: nonEmpty,
    env: 'MILLRACE_TLS_CERT',
    flag: { name: 'tls-cert', argument: 'FILE', description: 'certificate and chain, PEM' },
  },
  'tls.key': {
    read: nonEmpty,
    env: 'MILLRACE_TLS_KEY',
    flag: { name: 'tls-key', argument: 'FILE', description: 'its private key, PEM' },
  },
  'tls.passphrase': { read: nonEmpty, env: 'MILLRACE_TLS_PASSPHRASE' },
  'tls.clientCa': { read: nonEmpty, env: 'MILLRACE_TLS_CLIENT_CA' },
  'tls.clientCrl': { read: nonEmpty, env: 'MILLRACE_TLS_CLIENT_CRL' },
  'tls.clientCertificates': { read: oneOf(['request', 'require']) },
  'tls.ocsp': { read: oneOf(['off', 'strict', 'lenient']), env: 'MILLRACE_TLS_OCSP' },
  'tls.ocspResponder': { read: httpUrl, env: 'MILLRACE_TLS_OCSP_RESPONDER' },
  'tls.ocspAllowPrivate': { read: flag },
  'tls.hosts': { read: listOf(hostCertificate) },
  'admin.tls': { read: flag, env: 'MILLRACE_ADMIN_TLS' },
  'http.http2': { read: flag },
  'cluster.name': {
    read: nodeName,
    env: 'MILLRACE_NODE_NAME',
    flag: { name: 'node-name', argument: 'N', description: 'name of this node in its cluster' },
  },
  'cluster.token': {
    read: nonEmpty,
    env: 'MILLRACE_CLUSTER_TOKEN',
    flag: { name: 'cluster-token', argument: 'T', description: 'secret shared by the nodes' },
  },
  'cluster.peers': {
    read: listOf(peer),
    env: 'MILLRACE_PEER',
    flag: {
      name: 'peer',
      argument: 'URL',
      description: 'another node, ws://host:9933 (repeatable)',
      repeatable: true,
    },
  },
  'cluster.select': { read: listOf(selectionRule) },
  'cluster.revoked': { read: listOf(serialNumber) },
  'cluster.url': { read: peer, env: 'MILLRACE_CLUSTER_URL' },
  'cluster.tls.ca': { read: nonEmpty, env: 'MILLRACE_CLUSTER_CA' },
  'cluster.tls.cert': { read: nonEmpty, env: 'MILLRACE_CLUSTER_CERT' },
  'cluster.tls.key': { read: nonEmpty, env: 'MILLRACE_CLUSTER_KEY' },
  'cluster.nats.url': {
    read: nats,
    env: 'MILLRACE_NATS',
    flag: {
      name: 'nats',
      argument: 'URL',
      description: 'NATS server, with JetStream the backbone of the nodes',
    },
  },
  'cluster.nats.embedded': { read: flag },
  'cluster.nats.stream.enabled': { read: flag, env: 'MILLRACE_NATS_STREAM' },
  'cluster.nats.stream.maxAge': { read: duration },
  'cluster.nats.stream.maxBytes': { read: size },
  'cluster.nats.stream.replicas': { read: natsReplicas, env: 'MILLRACE_NATS_STREAM_REPLICAS' },
  'cluster.nats.stream.domain': { read: natsDomain },
  'cluster.shield': { read: flag },
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

export type SettingKey = keyof typeof SETTINGS;
export type SettingValues = {
  readonly [K in SettingKey]?: ReadBy<(typeof SETTINGS)[K]['read']> | undefined;
};

const MS_PER: readonly (readonly [RegExp, number, string])[] = [
  [/Ms(Max)?$|Ms$/, 1, 'milliseconds'],
  [/Seconds(Max)?$/, 1_000, 'seconds'],
  [/Days(Max)?$/, 86_400_000, 'days'],
];

/**
 * The reader of a limit, in the unit that its name ends in: sizes may be written `8MiB`, spans
 * `10s`, and a plain number counts in the unit of the name.
 */
export function limitReader(name: LimitName): Reader<number> {
  const fixed = FIXED_LIMITS[name];
  if (fixed !== undefined) return fixedLimit(fixed);
  const { least, most } = limitBounds(name);
  const read = unboundedReader(name);
  return (node, path, problems) => {
    const value = read(node, path, problems);
    if (value === undefined || (value >= least && value <= most)) return value;
    const wanted =
      value < least ? `at least ${least}; 0 would leave nothing` : `at most ${String(most)}`;
    return reject(node, path, wanted, problems);
  };
}

/** A limit that is no setting: said, since it would be accepted without effect otherwise. */
function fixedLimit(instead: string): Reader<number> {
  return (node, path, problems) => {
    problems.add(node.place, `${path} cannot be set: it is part of how the node works`, {
      cure: `remove it; ${instead}`,
    });
    return undefined;
  };
}

function unboundedReader(name: LimitName): Reader<number> {
  const unit = MS_PER.find(([pattern]) => pattern.test(name));
  if (unit !== undefined) {
    const [, milliseconds, word] = unit;
    return scalar(`a number of ${word}, or a span such as 10s`, (value) => {
      const plain = parseCount(value);
      if (plain !== undefined) return plain;
      const span = parseDuration(value);
      return span === undefined ? undefined : Math.round(span / milliseconds);
    });
  }
  return /Bytes/.test(name) ? scalar('a size such as 64KiB or 8MiB', parseSize) : count;
}

export const LIMIT_NAMES = Object.keys(LIMIT_DEFAULTS) as readonly LimitName[];
