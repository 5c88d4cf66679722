/**
 * Flags, environment and `millrace.yaml` → one frozen `Config`, or everything that is wrong with
 * them. A flag beats the environment, which beats the file, which beats the default.
 *
 * The only reader of `process.env`. Nothing is created or opened here.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Problem } from '../schema/problem.ts';
import { ProblemList } from '../schema/problem.ts';
import { readText } from './application-files.ts';
import {
  type CertificateRule,
  checkIssuers,
  type IssuerSettings,
  type UrlKeySettings,
} from './auth-settings.ts';
import { readConfigFile } from './config-file.ts';
import { applicationEnvironment, type Variables } from './env-file.ts';
import { FLAGS, type FlagValues } from './flags.ts';
import { LIMIT_DEFAULTS, type Limits } from './limits.ts';
import { nodeOf } from './setting-node.ts';
import {
  type HostCertificate,
  type LOG_LEVELS,
  SETTINGS,
  type SelectionRule,
  type Setting,
  type SettingKey,
  type SettingValues,
} from './settings.ts';
import { type StreamSettings, streamSettings } from './stream-settings.ts';

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Config {
  /** Absolute. */
  readonly appFolder: string;
  /** Absolute; `.millrace/data` in the application's folder unless configured. */
  readonly dataFolder: string;
  readonly host: string;
  /** Threads that serve the app port; `auto` is resolved. */
  readonly threads: number;
  readonly http: {
    readonly port: number;
    readonly engine: 'auto' | 'uws' | 'node';
    /** An operator's own build of uWebSockets.js. */
    readonly uwsPath: string | undefined;
    /** Web origins which may open sockets and read answers; `*` for all. */
    readonly allowedOrigins: readonly string[];
    /** Values of `Host` that are answered; all when empty. */
    readonly allowedHosts: readonly string[];
    /** Networks of proxies whose `X-Forwarded-For` is believed. */
    readonly trustedProxies: readonly string[];
    /** HTTP/2 where there is TLS. */
    readonly http2: boolean;
    /** Which pages of other origins may read answers; none when `origins` is empty. */
    readonly cors: {
      readonly origins: readonly string[];
      readonly headers: readonly string[];
      readonly exposeHeaders: readonly string[];
      readonly credentials: boolean;
      readonly maxAgeSeconds: number;
    };
  };
  readonly admin: {
    readonly host: string;
    readonly port: number;
    readonly username: string | undefined;
    readonly password: string | undefined;
    /** Whether the admin port speaks TLS too. */
    readonly tls: boolean;
  };
  /** Who is believed besides the node's own users. */
  readonly auth: {
    readonly issuers: readonly IssuerSettings[];
    readonly urlKeys: readonly UrlKeySettings[];
    readonly certificates: readonly CertificateRule[];
  };
  readonly mqtt: {
    readonly port: number;
    /** Whether somebody chose the port: then it must be had. */
    readonly isPortChosen: boolean;
    readonly requireAuthentication: boolean;
  };
  readonly replication: { readonly port: number };
  readonly log: { readonly level: LogLevel };
  /** `file`: absolute, or `-` for standard output; without it there is none. */
  readonly accessLog: {
    readonly file: string | undefined;
    readonly format: 'combined' | 'json';
  };
  readonly store: { readonly durability: 'flushed' | 'process' };
  /** Absolute paths of PEM files, for all ports. */
  readonly tls:
    | {
        readonly cert: string;
        readonly key: string;
        readonly passphrase: string | undefined;
        readonly clientCa: string | undefined;
        readonly clientCrl: string | undefined;
        readonly clientCertificates: 'request' | 'require';
        /** Who is asked whether a client certificate was revoked; `undefined`: nobody. */
        readonly ocsp: OcspConfig | undefined;
        readonly hosts: readonly HostCertificate[];
      }
    | undefined;
  readonly cluster: {
    /** The name of this node. */
    readonly name: string;
    readonly token: string | undefined;
    readonly peers: readonly string[];
    /** Where others reach this node; `undefined`: under the address they see it come from. */
    readonly url: string | undefined;
    /** Absolute paths of PEM files; `undefined`: those that `millrace cluster` made, if any. */
    readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
    /** Which rows travel; all, both ways, when there is no rule. */
    readonly select: readonly SelectionRule[];
    /** Serial numbers of certificates that are not believed any more; upper case, no colons. */
    readonly revoked: readonly string[];
    readonly nats: {
      readonly url: string | undefined;
      readonly embedded: boolean;
      readonly stream: StreamSettings;
    };
    readonly shield: boolean;
  };
  readonly limits: Limits;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  readonly appFolder: string;
  readonly flags?: FlagValues | undefined;
  readonly env?: Environment | undefined;
  /** Cores of the machine, by which `threads: auto` is decided. */
  readonly cores?: number | undefined;
}

export type LoadedConfig =
  | { readonly config: Config; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly config?: undefined };

/** The environment of this process; read here and nowhere else. */
export const processEnvironment = (): Environment => process.env;

/** Has code of the application find its variables where it looks for them. */
export function adoptVariables(variables: Variables): void {
  Object.assign(process.env, variables);
}

export const CONFIG_FILE = 'millrace.yaml';

export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems = new ProblemList();
  const appFolder = resolve(sources.appFolder);
  // What is wrong with its files is said where the application is read.
  const { env } = applicationEnvironment(appFolder, sources.env ?? processEnvironment());
  const file = readConfigFile(readText(join(appFolder, CONFIG_FILE), CONFIG_FILE, problems), {
    file: CONFIG_FILE,
    substitutes: { env, readFile: (path) => readOptional(resolve(appFolder, path)) },
    problems,
  });
  const values: SettingValues = {
    ...file.values,
    ...readEnvironment(env, problems),
    ...readFlags(sources.flags ?? {}, problems),
  };
  checkTogether(values, problems);
  if (!problems.isEmpty) return { problems: problems.sorted() };
  const limits = { ...LIMIT_DEFAULTS, ...file.limits };
  const cores = sources.cores ?? availableParallelism();
  return { config: deepFreeze(assemble(appFolder, values, limits, cores)) };
}

/** A file's text; `undefined` when there is none or it cannot be read. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readEnvironment(env: Environment, problems: ProblemList): SettingValues {
  const found: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<Setting<unknown>>(SETTINGS)) {
    if (setting.env === undefined) continue;
    const place = { file: setting.env, line: 0, column: 0 };
    const written = env[setting.env] || fromFile(setting.env, env, problems);
    if (written === undefined || written === '') continue;
    const own = new ProblemList();
    const many = key === 'cluster.peers' ? written.split(/[\s,]+/).filter(Boolean) : written;
    const value = setting.read(nodeOf(many, place), setting.env, own);
    if (value !== undefined) found[key] = fromHere(key, value);
    for (const problem of own.sorted()) problems.add(place, problem.message, explained(problem));
  }
  return found;
}

/** `NAME_FILE` names a file that holds the value, as secrets of containers are handed over. */
function fromFile(name: string, env: Environment, problems: ProblemList): string | undefined {
  const path = env[`${name}_FILE`];
  if (path === undefined || path === '') return undefined;
  const text = readOptional(resolve(path));
  if (text === undefined) {
    const place = { file: `${name}_FILE`, line: 0, column: 0 };
    problems.add(place, `file ${path} cannot be read`, { cure: 'mount it, or unset the variable' });
  }
  // Files of secrets usually end in a line break which is no part of the secret.
  return text?.replace(/\r?\n$/, '');
}

/** Kubernetes describes every service of a namespace in variables of this form. */
function explained(problem: Problem): Problem {
  if (!/"tcp:\/\//.test(problem.message)) return problem;
  const cause = 'Kubernetes sets this variable for a Service of that name';
  return { ...problem, cause, cure: 'set enableServiceLinks: false in the pod' };
}

function readFlags(flags: FlagValues, problems: ProblemList): SettingValues {
  const found: Record<string, unknown> = {};
  for (const flag of FLAGS) {
    const written = flags[flag.property] ?? flags[flag.name];
    if (written === undefined) continue;
    const last = Array.isArray(written) && flag.repeatable !== true ? written.at(-1) : written;
    const name = `--${flag.name}`;
    const value = SETTINGS[flag.key].read(nodeOf(last, FLAG_PLACE), name, problems);
    if (value !== undefined) found[flag.key] = fromHere(flag.key, value);
  }
  return found;
}

const PATHS: readonly string[] = [
  ...['data', 'http.uwsPath', 'tls.cert', 'tls.key', 'tls.clientCa'],
  ...['cluster.tls.ca', 'cluster.tls.cert', 'cluster.tls.key'],
];

/** A relative path in a flag or variable is meant from where the command runs. */
function fromHere(key: string, value: unknown): unknown {
  return PATHS.includes(key) && typeof value === 'string' ? resolve(value) : value;
}

const FLAG_PLACE = { file: 'command line', line: 0, column: 0 };

function checkTogether(values: SettingValues, problems: ProblemList): void {
  const place = { file: CONFIG_FILE, line: 0, column: 0 };
  const pairs: readonly (readonly [SettingKey, SettingKey])[] = [
    ['tls.cert', 'tls.key'],
    ['admin.username', 'admin.password'],
    ['cluster.tls.ca', 'cluster.tls.cert'],
    ['cluster.tls.cert', 'cluster.tls.key'],
  ];
  for (const [one, other] of pairs) {
    if ((values[one] === undefined) === (values[other] === undefined)) continue;
    const [given, missing] = values[one] === undefined ? [other, one] : [one, other];
    const variable = (SETTINGS[missing] as Setting<unknown>).env;
    problems.add(place, `${given} is set without ${missing}`, {
      cure: `set ${missing} too, in ${CONFIG_FILE} or as ${variable}`,
    });
  }
  const keys = Object.keys(values) as SettingKey[];
  const ofTls = keys.find((key) => key.startsWith('tls.') && values[key] !== undefined);
  if (ofTls !== undefined && values['tls.cert'] === undefined && values['tls.key'] === undefined) {
    problems.add(place, `${ofTls} is set, and TLS is not`, {
      cause: 'without a certificate of its own the node serves without TLS, and knows no clients',
      cure: 'set tls.cert and tls.key',
    });
  }
  checkIssuers(values['auth.issuers'] ?? [], place, problems);
  if (values['http.cors.credentials'] === true && values['http.cors.origins']?.includes('*')) {
    problems.add(place, 'http.cors.credentials cannot go with the origin *', {
      cause: 'any page could then act as its visitor',
      cure: 'name the origins',
    });
  }
  checkPorts(values, place, problems);
}

function checkPorts(values: SettingValues, place: typeof FLAG_PLACE, problems: ProblemList): void {
  const keys = ['http.port', 'admin.port', 'mqtt.port', 'replication.port'] as const;
  const seen = new Map<number, string>();
  for (const key of keys) {
    const port = values[key] ?? DEFAULT_PORTS[key];
    const first = seen.get(port);
    if (port !== 0 && first !== undefined) {
      problems.add(place, `${first} and ${key} are both ${port}`, {
        cure: 'give each its own port',
      });
    }
    seen.set(port, key);
  }
}

const DEFAULT_PORTS = {
  'http.port': 9926,
  'admin.port': 9925,
  'mqtt.port': 1883,
  'replication.port': 9933,
} as const;

const LOOPBACK = '127.0.0.1';

function assemble(appFolder: string, values: SettingValues, limits: Limits, cores: number): Config {
  const host = values.host ?? LOOPBACK;
  const hasAdmin = values['admin.username'] !== undefined;
  return {
    appFolder,
    dataFolder: resolve(appFolder, values.data ?? join('.millrace', 'data')),
    host,
    threads: threadCount(values.threads ?? 'auto', cores),
    http: {
      port: values['http.port'] ?? DEFAULT_PORTS['http.port'],
      engine: values['http.engine'] ?? 'auto',
      uwsPath: resolved(appFolder, values['http.uwsPath']),
      allowedOrigins: values['http.allowedOrigins'] ?? [],
      allowedHosts: values['http.allowedHosts'] ?? [],
      trustedProxies: values['http.trustedProxies'] ?? [],
      http2: values['http.http2'] ?? true,
      cors: cors(values),
    },
    admin: {
      // Operations without a configured admin never leave the machine.
      host: values['admin.host'] ?? (hasAdmin ? host : LOOPBACK),
      port: values['admin.port'] ?? DEFAULT_PORTS['admin.port'],
      username: values['admin.username'],
      password: values['admin.password'],
      tls: values['admin.tls'] ?? false,
    },
    auth: {
      issuers: values['auth.issuers'] ?? [],
      urlKeys: values['auth.urlKeys'] ?? [],
      certificates: values['auth.certificates'] ?? [],
    },
    mqtt: {
      port: values['mqtt.port'] ?? DEFAULT_PORTS['mqtt.port'],
      isPortChosen: values['mqtt.port'] !== undefined,
      requireAuthentication: values['mqtt.requireAuthentication'] ?? true,
    },
    replication: { port: values['replication.port'] ?? DEFAULT_PORTS['replication.port'] },
    log: { level: values['log.level'] ?? 'info' },
    accessLog: {
      file: values['accessLog.file'] === '-' ? '-' : resolved(appFolder, values['accessLog.file']),
      format: values['accessLog.format'] ?? 'combined',
    },
    store: { durability: values['store.durability'] ?? 'flushed' },
    tls: tlsOf(appFolder, values),
    cluster: {
      name: values['cluster.name'] ?? (hostname().replace(/[^\w.-]/g, '-') || 'node'),
      token: values['cluster.token'],
      peers: otherNodes(values),
      url: values['cluster.url'],
      tls: clusterTls(appFolder, values),
      select: values['cluster.select'] ?? [],
      revoked: (values['cluster.revoked'] ?? []).map((one) =>
        one.replaceAll(':', '').toUpperCase(),
      ),
      nats: {
        url: values['cluster.nats.url'],
        embedded: values['cluster.nats.embedded'] ?? false,
        stream: streamSettings(values),
      },
      shield: values['cluster.shield'] ?? false,
    },
    limits,
  };
}

/**
 * One list serves every node of a fleet, as a StatefulSet writes it: a URL whose host begins with
 * the name that this node was given is this node, and no peer of it.
 */
function otherNodes(values: SettingValues): readonly string[] {
  const peers = values['cluster.peers'] ?? [];
  const name = values['cluster.name']?.toLowerCase();
  return name === undefined
    ? peers
    : peers.filter((url) => {
        const { hostname: host } = new URL(url);
        return host !== name && !host.startsWith(`${name}.`);
      });
}

/** Fields which the answers of a node carry and a page may want to see. */
const EXPOSED = ['age', 'cache-groups', 'cache-status', 'etag', 'location', 'server-timing'];
const SENT = ['authorization', 'content-type', 'if-match', 'if-none-match', 'last-event-id'];
const CORS_MAX_AGE_MS = 600_000;

function cors(values: SettingValues): Config['http']['cors'] {
  return {
    origins: values['http.cors.origins'] ?? [],
    headers: values['http.cors.headers'] ?? SENT,
    exposeHeaders: values['http.cors.exposeHeaders'] ?? EXPOSED,
    credentials: values['http.cors.credentials'] ?? false,
    maxAgeSeconds: Math.round((values['http.cors.maxAge'] ?? CORS_MAX_AGE_MS) / 1_000),
  };
}

/** How client certificates are asked about. */
export interface OcspConfig {
  readonly mode: 'strict' | 'lenient';
  readonly responder: string | undefined;
  readonly allowPrivate: boolean;
}

function ocspOf(values: SettingValues): OcspConfig | undefined {
  const mode = values['tls.ocsp'] ?? 'off';
  if (mode === 'off') return undefined;
  const responder = values['tls.ocspResponder'];
  return { mode, responder, allowPrivate: values['tls.ocspAllowPrivate'] ?? false };
}

function tlsOf(folder: string, values: SettingValues): Config['tls'] {
  const cert = resolved(folder, values['tls.cert']);
  const key = resolved(folder, values['tls.key']);
  if (cert === undefined || key === undefined) return undefined;
  return {
    ...{ cert, key, passphrase: values['tls.passphrase'] },
    clientCa: resolved(folder, values['tls.clientCa']),
    clientCrl: resolved(folder, values['tls.clientCrl']),
    clientCertificates: values['tls.clientCertificates'] ?? 'request',
    ocsp: ocspOf(values),
    hosts: (values['tls.hosts'] ?? []).map((one) => ({
      ...one,
      cert: resolve(folder, one.cert),
      key: resolve(folder, one.key),
    })),
  };
}

function clusterTls(folder: string, values: SettingValues): Config['cluster']['tls'] {
  const ca = resolved(folder, values['cluster.tls.ca']);
  const cert = resolved(folder, values['cluster.tls.cert']);
  const key = resolved(folder, values['cluster.tls.key']);
  return ca === undefined || cert === undefined || key === undefined
    ? undefined
    : { ca, cert, key };
}

function resolved(folder: string, path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(folder, path);
}

/** `auto`: one thread on up to two cores, else one less than there are. */
function threadCount(written: number | 'auto', cores: number): number {
  if (written !== 'auto') return written;
  return cores <= 2 ? 1 : cores - 1;
}

function deepFreeze<T extends object>(value: T): T {
  for (const each of Object.values(value)) {
    if (typeof each === 'object' && each !== null) deepFreeze(each);
  }
  return Object.freeze(value);
}
