/**
 * `origins/NAME.yaml` → `OriginSettings`. Checks everything that can be known without opening the
 * origin; settings which only one kind understands are handed through in `options`.
 */
import { type DurationMs, durationMs } from '../base/brands.ts';
import type { SourcePlace } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';
import {
  anyMap,
  type FeedSettings,
  feedReader,
  feedSettings,
  ORIGIN_KINDS,
  type OriginKindName,
} from './origin-feed.ts';
import { KIND_KEYS } from './origin-keys.ts';
import { type ReplicaUrl, replicaUrls } from './origin-replicas.ts';
import {
  count,
  duration,
  listOf,
  mapOf,
  nonEmpty,
  oneOf,
  type Partly,
  positive,
  type Reader,
  reject,
  scalar,
  shape,
  size,
  text,
} from './readers.ts';
import type { SettingNode } from './setting-node.ts';
import type { Substitutes } from './substitute.ts';
import { readYaml } from './yaml-file.ts';

export type { FeedEventName, FeedEventRule, FeedSettings, OriginKindName } from './origin-feed.ts';

export interface OriginSettings {
  readonly name: string;
  readonly kind: OriginKindName;
  /** Of several replicas the first. */
  readonly url?: string | undefined;
  /** Only when there are several. */
  readonly replicas?: readonly ReplicaUrl[] | undefined;
  /** What decides between replicas: the requests under way, or what is asked for. */
  readonly balance: 'load' | 'key';
  /** When a replica is left out, and for how long. */
  readonly ejection: { readonly failures: number; readonly cooldownMs: DurationMs };
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `Host` of page requests: `origin` for the one of `url`, or a name; else the client's. */
  readonly host?: string | undefined;
  /** Deadline of one attempt: connection, headers and body. */
  readonly timeoutMs: DurationMs;
  /** Deadline for the headers alone, when it is shorter. */
  readonly headersTimeoutMs?: DurationMs | undefined;
  readonly connectTimeoutMs?: DurationMs | undefined;
  readonly retries: number;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly breaker: { readonly failures: number; readonly cooldownMs: DurationMs };
  readonly health?: { readonly path: string; readonly everyMs: DurationMs } | undefined;
  readonly feed?: FeedSettings | undefined;
  /** `true`, or the `host:port` places of private networks that may be reached. */
  readonly allowPrivate: boolean | readonly string[];
  readonly bodyMax: number;
  /** Command of a process that this node starts and watches. */
  readonly run?: string | undefined;
  /** Kind `module`: the file of code, relative to the application. */
  readonly module?: string | undefined;
  /** The kind which an extension brings: `module` is its file then, and `kind` says `module`. */
  readonly broughtKind?: string | undefined;
  readonly options: Readonly<Record<string, unknown>>;
  readonly place: SourcePlace;
}

/** What an origin that says nothing gets. */
export const ORIGIN_DEFAULTS = Object.freeze({
  timeoutMs: durationMs(10_000),
  // With one, the reads that share a failing fetch cost the origin two calls, not more.
  retries: 1,
  concurrency: 32,
  queueMax: 1_000,
  breaker: Object.freeze({ failures: 5, cooldownMs: durationMs(10_000) }),
  balance: 'load' as const,
  ejection: Object.freeze({ failures: 3, cooldownMs: durationMs(10_000) }),
  healthEveryMs: durationMs(5_000),
  bodyMax: 8 * 1024 * 1024,
});

const RETRIES_MAX = 10;

const headers: Reader<Readonly<Record<string, string>>> = (node, path, problems) => {
  const read = mapOf(text, (name) =>
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) ? undefined : 'is no name of a header field',
  )(node, path, problems);
  if (read === undefined) return undefined;
  return Object.fromEntries(Object.entries(read).map(([name, each]) => [name.toLowerCase(), each]));
};

const host: Reader<string> = scalar('origin, or a host such as www.example.com:8080', (value) =>
  typeof value === 'string' && /^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?$/.test(value)
    ? value
    : undefined,
);

const retries: Reader<number> = (node, path, problems) => {
  const number = count(node, path, problems);
  if (number === undefined || number <= RETRIES_MAX) return number;
  return reject(node, path, `at most ${RETRIES_MAX}`, problems);
};

const allowPrivate: Reader<boolean | readonly string[]> = (node, path, problems) => {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  return listOf(
    scalar('true, or a list of host:port such as 10.0.0.7:8080', (value) =>
      typeof value === 'string' && /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):\d{1,5}$/.test(value)
        ? value
        : undefined,
    ),
  )(node, path, problems);
};

const ORIGIN = {
  kind: oneOf(ORIGIN_KINDS),
  description: text,
  url: replicaUrls,
  balance: oneOf(['load', 'key']),
  ejection: shape({ failures: positive, cooldown: duration }),
  headers,
  host,
  timeout: duration,
  headersTimeout: duration,
  connectTimeout: duration,
  retries,
  concurrency: positive,
  queue: count,
  breaker: shape({ failures: positive, cooldown: duration }),
  health: shape({ path: nonEmpty, every: duration }),
  feed: feedReader,
  allowPrivate,
  bodyMax: size,
  run: nonEmpty,
  module: nonEmpty,
  options: anyMap,
  ...Object.fromEntries(Object.entries(KIND_KEYS).map(([key, { read }]) => [key, read])),
} as const;
const originShape: Reader<Partly<typeof ORIGIN>> = shape(ORIGIN);

/** Kinds that extensions bring, with their files. */
export type BroughtKinds = ReadonlyMap<string, string>;

/** Reads an origin's YAML; `undefined` when it lacks what no default can stand for (reported). */
export function parseOrigin(
  source: { readonly name: string; readonly text: string; readonly file: string },
  substitutes: Substitutes,
  problems: ProblemList,
  brought: BroughtKinds = new Map(),
): OriginSettings | undefined {
  const place: SourcePlace = { file: source.file, line: 1, column: 1 };
  const written = readYaml(source.text, source.file, substitutes, problems);
  const broughtKind = broughtKindOf(written, brought);
  const node = broughtKind === undefined ? written : asModule(written, brought.get(broughtKind));
  if (node === undefined) {
    if (problems.isEmpty)
      problems.add(place, 'the origin file is empty', { cure: 'write kind: http' });
    return undefined;
  }
  const read = originShape(node, '', problems);
  if (read === undefined) return undefined;
  const kind = read.kind;
  if (kind === undefined) {
    if (node.kind === 'map' && !node.entries.has('kind')) {
      problems.add(place, 'the origin has no kind', {
        cure: `write kind: ${ORIGIN_KINDS.join(' | ')}`,
      });
    }
    return undefined;
  }
  checkNeeds(kind, read, place, problems);
  const settings = assemble(
    ...([source.name, kind, read, kindOptions(kind, node, read, problems), place] as const),
  );
  return broughtKind === undefined ? settings : Object.freeze({ ...settings, broughtKind });
}

function broughtKindOf(node: SettingNode | undefined, brought: BroughtKinds): string | undefined {
  const kind = node?.kind === 'map' ? node.entries.get('kind')?.value : undefined;
  const name = kind?.kind === 'scalar' ? kind.value : undefined;
  return typeof name === 'string' && brought.has(name) ? name : undefined;
}

/** What a kind of an extension makes of its keys is its own business: it is code like a module. */
function asModule(node: SettingNode | undefined, file: string | undefined) {
  if (node?.kind !== 'map') return node;
  const entries = new Map(node.entries);
  for (const [key, value] of Object.entries({ kind: 'module', module: file ?? '' })) {
    entries.set(key, { key: node.place, value: { kind: 'scalar', value, place: node.place } });
  }
  return { ...node, entries };
}

type ReadOrigin = Partly<typeof ORIGIN>;

function checkNeeds(
  kind: OriginKindName,
  read: ReadOrigin,
  place: SourcePlace,
  problems: ProblemList,
): void {
  if (kind === 'module') {
    if (read.module === undefined) {
      problems.add(place, 'kind module needs the key module', {
        cure: 'write module: ./origins/x.ts',
      });
    }
    return;
  }
  if (read.run !== undefined && (kind !== 'http' || read.url !== undefined)) {
    problems.add(place, 'run is for origins of kind http, and stands in the place of url', {
      cause: 'the node chooses the port of what it runs, and so knows its URL',
      cure: 'write kind: http and run: COMMAND, without url',
    });
  }
  if (read.url === undefined && read.run === undefined) {
    problems.add(place, `kind ${kind} needs the key url`, {
      cure: `write url: ${EXAMPLE_URL[kind]}`,
    });
    return;
  }
  const [first] = read.url ?? [];
  const scheme = first === undefined ? undefined : new URL(first.url).protocol.slice(0, -1);
  if (kind !== 'http' && (read.url?.length ?? 0) > 1) {
    problems.add(place, `kind ${kind} takes one url, not a list`, {
      cause: 'only origins of kind http have replicas',
      cure: `write one url, such as ${EXAMPLE_URL[kind]}`,
    });
  }
  if (scheme !== undefined && !SCHEMES[kind].includes(scheme)) {
    problems.add(place, `kind ${kind} cannot speak ${scheme}:`, {
      cure: `write an url such as ${EXAMPLE_URL[kind]}, or another kind`,
    });
  }
}

const SCHEMES: Readonly<Record<Exclude<OriginKindName, 'module'>, readonly string[]>> = {
  http: ['http', 'https'],
  sse: ['http', 'https'],
  websocket: ['ws', 'wss', 'http', 'https'],
  mqtt: ['mqtt', 'mqtts', 'tcp', 'ssl'],
  nats: ['nats', 'tls'],
  postgres: ['postgres', 'postgresql'],
  millrace: ['http', 'https'],
};

const EXAMPLE_URL: Readonly<Record<Exclude<OriginKindName, 'module'>, string>> = {
  http: 'https://api.example.com',
  sse: 'https://api.example.com',
  websocket: 'wss://feed.example.com',
  mqtt: 'mqtts://broker.example.com:8883',
  nats: 'nats://nats.example.com:4222',
  postgres: 'postgres://user@db.example.com/app',
  millrace: 'https://upper.example.com:9926/Flight',
};

function kindOptions(
  kind: OriginKindName,
  node: SettingNode,
  read: ReadOrigin,
  problems: ProblemList,
): Readonly<Record<string, unknown>> {
  const options: Record<string, unknown> = { ...read.options };
  if (node.kind !== 'map') return options;
  for (const [key, { kinds }] of Object.entries(KIND_KEYS)) {
    const entry = node.entries.get(key);
    if (entry === undefined) continue;
    if (kinds.includes(kind)) {
      if (key in read) options[key] = read[key as keyof ReadOrigin];
    } else {
      problems.add(entry.key, `${key} means nothing to an origin of kind ${kind}`, {
        cause: `it belongs to kind ${kinds.join(' and ')}`,
      });
    }
  }
  return options;
}

function assemble(
  name: string,
  kind: OriginKindName,
  read: ReadOrigin,
  options: Readonly<Record<string, unknown>>,
  place: SourcePlace,
): OriginSettings {
  const defaults = ORIGIN_DEFAULTS;
  return Object.freeze({
    name,
    kind,
    url: read.url?.[0]?.url,
    ...((read.url?.length ?? 0) > 1 ? { replicas: read.url } : {}),
    balance: read.balance ?? defaults.balance,
    ejection: {
      failures: read.ejection?.failures ?? defaults.ejection.failures,
      cooldownMs: read.ejection?.cooldown ?? defaults.ejection.cooldownMs,
    },
    headers: read.headers ?? {},
    host: read.host,
    timeoutMs: read.timeout ?? defaults.timeoutMs,
    headersTimeoutMs: read.headersTimeout,
    connectTimeoutMs: read.connectTimeout,
    retries: read.retries ?? defaults.retries,
    concurrency: read.concurrency ?? defaults.concurrency,
    queueMax: read.queue ?? defaults.queueMax,
    breaker: {
      failures: read.breaker?.failures ?? defaults.breaker.failures,
      cooldownMs: read.breaker?.cooldown ?? defaults.breaker.cooldownMs,
    },
    health:
      read.health === undefined
        ? undefined
        : {
            path: read.health.path ?? '/',
            everyMs: read.health.every ?? defaults.healthEveryMs,
          },
    feed: read.feed === undefined ? undefined : feedSettings(kind, read.feed),
    allowPrivate: read.allowPrivate ?? false,
    bodyMax: read.bodyMax ?? defaults.bodyMax,
    run: read.run,
    module: read.module,
    options,
    place,
  });
}
