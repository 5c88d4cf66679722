/**
 * Starts MQTT on the thread that owns the store, when a table is reached over it: the server, its
 * TCP port, and what the app port hands over of WebSockets. Where the port was not chosen and is
 * taken, the node goes on without it and says so.
 */
import type { Audit } from './access/audit.ts';
import type { Authenticator } from './access/authenticate.ts';
import type { Identities } from './access/identity/identities.ts';
import { RefusalLog } from './access/refusal-log.ts';
import type { Clock } from './base/clock.ts';
import { asNodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import type { PresenceHub } from './feed/presence.ts';
import { readThrough } from './feed/table-reads.ts';
import { serveCodeHere } from './node-code-feed.ts';
import { mqttGuest, mqttSignIn } from './node-mqtt-access.ts';
import { mqttClients } from './node-mqtt-clients.ts';
import { type MqttCode, type MqttCodeParts, NO_CODE, openMqttCode } from './node-mqtt-code.ts';
import { createMqttGuard } from './node-mqtt-guard.ts';
import { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import { countDuration, type DurationCounts, durationCounts } from './observe/request-meter.ts';
import type { LiveClients } from './operations/live/live-clients.ts';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import type { TlsCertificates } from './protocols/http/tls-files.ts';
import type { RecallGuest } from './protocols/mqtt/access.ts';
import type { Accept } from './protocols/mqtt/channel.ts';
import type { CodeAt } from './protocols/mqtt/code-topic.ts';
import type { MqttServer } from './protocols/mqtt/server.ts';
import type { TcpOptions } from './protocols/mqtt/tcp.ts';
import type { Store } from './store/store-options.ts';
import type { Tables } from './table/tables.ts';
import type { ThreadLimits } from './worker-limits.ts';
import { localPresence } from './worker-presence.ts';
import type { PreparedApplication } from './worker-resources.ts';

export interface MqttParts {
  readonly config: Config;
  readonly tables: Tables;
  readonly store: Store;
  readonly authenticator: Authenticator;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly log: Log;
  readonly tls: TlsCertificates | undefined;
  readonly guard: GuardMemory;
  readonly limits: ThreadLimits;
  readonly audit: Audit;
  readonly prepared: PreparedApplication;
  readonly presences: PresenceHub;
}

export interface RunningMqtt {
  /** `undefined`: the port was taken. */
  readonly port: number | undefined;
  readonly accept: Accept;
  readonly metrics: ArrayMetrics;
  readonly clients: LiveClients;
  stop(): Promise<void>;
}

/** `undefined` when neither a table nor code is reached over MQTT. Rejects with `PORT_IN_USE`. */
export async function startMqtt(parts: MqttParts): Promise<RunningMqtt | undefined> {
  const definitions = [...parts.tables.all()].map(({ definition }) => definition);
  const isReached = definitions.some((table) => table.export?.protocols.has('mqtt') === true);
  const { config, clock, store, log, presences } = parts;
  const code = openMqttCode({ ...parts, commit: commitTo(store, config) }, definitions);
  if (!isReached && code === undefined) return undefined;
  // Loaded here: a node without MQTT does not pay for it.
  const { MqttServer } = await import('./protocols/mqtt/server.ts');
  const stopCode = code && serveCodeHere(parts);
  const presence = localPresence(presences, clock);
  const lag = durationCounts();
  const tally = createTally();
  const limitHit = (limit: string) => increment(tally.limits, limit);
  const guard = createMqttGuard(parts, limitHit);
  const server = new MqttServer({
    tables: definitions,
    tableNamed: (name) => parts.tables.get(name),
    ...{ reader: store, writer: store, clock },
    readRecord: readThrough(store, (name) => parts.tables.get(name)),
    signIn: mqttSignIn({
      ...parts,
      ...{ pacing: guard, code: code ?? NO_CODE },
      refusals: new RefusalLog(parts.audit, () => clock.now()),
      onRejected: (method) => increment(tally.rejected, method),
    }),
    recallGuest: recallGuest(parts, code),
    holdings: parts.guard.subscriptions,
    isOfCode: (filter) => code?.isOfCode(filter) === true,
    onFollow: (followed, by) => presence.changed(followed, by),
    requireAuthentication: config.mqtt.requireAuthentication,
    observeLag: (ms) => countDuration(lag, Math.max(0, ms) / 1000),
    failed: (error) => log.error({ error: String(error) }, 'an MQTT session was not written'),
    faulted: (error) => faultOf(log, error),
  });
  server.start();
  const accept: Accept = (channel) => server.accept(channel);
  const listener = await listen(parts, { accept, door: guard, limitHit });
  return {
    port: listener?.port,
    accept,
    metrics: mqttMetrics(server, lag, tally),
    clients: mqttClients(() => server.sessions()),
    async stop() {
      listener?.stopAccepting();
      await server.stop();
      await listener?.close();
      presence.stop();
      stopCode?.();
    },
  };
}

/** Its client is cut off; a store that has no room is not an assumption of ours that broke. */
function faultOf(log: Log, error: unknown): void {
  const { code, message } = asNodeError(error);
  if (code !== 'INTERNAL') log.warn({ code, message }, 'an MQTT packet could not be handled');
  else log.error({ stack: (error as Error)?.stack }, 'an MQTT packet broke our own assumptions');
}

const commitTo =
  (store: Store, { store: { durability } }: Config): MqttCodeParts['commit'] =>
  (ops) =>
    store.commit(ops, durability);

const recallGuest =
  ({ identities, authenticator }: MqttParts, code: MqttCode | undefined): RecallGuest =>
  (verified) => {
    const principal = verified === undefined ? identities.nobody() : authenticator.recall(verified);
    if (principal === undefined) return undefined;
    const codeAt: CodeAt = (filter) => code?.at(filter, { principal, remoteAddress: '' });
    return mqttGuest(principal, { codeAt, code });
  };

type Serving = Pick<TcpOptions, 'accept' | 'door' | 'limitHit'>;

async function listen({ config, log, tls }: MqttParts, serving: Serving) {
  const { listenTcp } = await import('./protocols/mqtt/tcp.ts');
  const { host, mqtt } = config;
  try {
    return await listenTcp({ host, port: mqtt.port, tls, ...serving });
  } catch (error) {
    if (mqtt.isPortChosen || asNodeError(error).code !== 'PORT_IN_USE') throw error;
    log.warn({ port: mqtt.port }, 'MQTT is off: its port is taken; choose one with --mqtt-port');
    return undefined;
  }
}

/** Beside those of the app threads, and added up with them at scrape. */
function mqttMetrics(server: MqttServer, lag: DurationCounts, tally: Tally): ArrayMetrics {
  const metrics = new ArrayMetrics();
  const labels = { protocol: 'mqtt' };
  const { counts } = server;
  const one = (value: () => number) => () => [{ labels, value: value() }];
  const sent = one(() => counts.messagesSent);
  const received = one(() => counts.messagesReceived);
  const resets = one(() => counts.resets);
  const subscriptions = one(() => server.subscriptionCount);
  metrics.gauge(
    'millrace_connections',
    'Open connections',
    'sum',
    one(() => counts.connections),
  );
  metrics.gauge('millrace_subscriptions', 'Open subscriptions', 'sum', subscriptions);
  metrics.counter('millrace_messages_sent_total', 'Events sent to subscribers', sent);
  metrics.counter('millrace_messages_received_total', 'Messages received from clients', received);
  metrics.counter('millrace_subscriber_resets_total', 'Subscribers told to start over', resets);
  metrics.histogram('millrace_delivery_lag_seconds', 'From a change to its delivery', () => [
    { labels, counts: lag },
  ]);
  metrics.gauge('millrace_mqtt_sessions', 'MQTT sessions, with a client and without', 'sum', () => [
    { labels: {}, value: server.sessionCount },
  ]);
  metrics.counter('millrace_mqtt_refused_total', 'Publishes refused and packets at fault', () => [
    { labels: { kind: 'publish' }, value: counts.refused },
    { labels: { kind: 'packet' }, value: counts.faults },
  ]);
  observeTally(metrics, tally, counts.limits);
  return metrics;
}

/** What was refused, by its name. */
interface Tally {
  readonly rejected: Map<string, number>;
  readonly limits: Map<string, number>;
}

const createTally = (): Tally => ({ rejected: new Map(), limits: new Map() });

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Under the names that the other ports count by. */
function observeTally(
  metrics: ArrayMetrics,
  { rejected, limits }: Tally,
  ofServer: ReadonlyMap<string, number>,
): void {
  metrics.counter('millrace_auth_failures_total', 'Credentials rejected', function* () {
    for (const [method, value] of rejected) yield { labels: { method }, value };
  });
  metrics.counter('millrace_limits_hit_total', 'Times a limit refused something', function* () {
    for (const [limit, value] of limits) yield { labels: { limit }, value };
    for (const [limit, value] of ofServer) yield { labels: { limit }, value };
  });
}
