/**
 * Assembles what one thread serves on the app port: tables over REST, their changes over WebSocket
 * and event streams, static files; and the counters of all that. Runs in the only thread of a small
 * node, or in each worker of a larger one.
 */

import { accessTo, subscribeAccess } from './access/authorise.ts';
import type { Principal } from './access/principal.ts';
import { RefusalLog, requestRefusals } from './access/refusal-log.ts';
import { durationMs } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { createLimit } from './base/limit.ts';
import type { LoopShare } from './base/loop-share.ts';
import type { Config } from './config/config.ts';
import type { ReloadParts } from './config/reload.ts';
import { Fanout } from './feed/fanout.ts';
import type { ThreadPresence } from './feed/presence.ts';
import { createResolve, type Resolve } from './feed/resolve.ts';
import { readThrough } from './feed/table-reads.ts';
import { createFaultLog } from './observe/fault-log.ts';
import type { Log } from './observe/log.ts';
import { countDuration, durationCounts, RequestCounts } from './observe/request-meter.ts';
import type { LiveClients } from './operations/live/live-clients.ts';
import { withAccessLog } from './protocols/http/access-log.ts';
import { withCors } from './protocols/http/cors.ts';
import { COMPRESSIONS, createEncodings } from './protocols/http/encodings.ts';
import type { ChosenEngine } from './protocols/http/engine.ts';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import type { HttpHandler, HttpLimits, Listener } from './protocols/http/port.ts';
import { withServerOptions } from './protocols/http/server-options.ts';
import { createSignInPaths } from './protocols/http/sign-in-paths.ts';
import { createStaticFiles } from './protocols/http/static-files.ts';
import type { TlsCertificates } from './protocols/http/tls-files.ts';
import type { Accept } from './protocols/mqtt/channel.ts';
import type { ConfirmWrite } from './protocols/rest/confirmed-write.ts';
import { createServeCustom } from './protocols/rest/custom-resource.ts';
import { createPublish } from './protocols/rest/publish-message.ts';
import { type RestResource, resourceHeaders, type VerdictLine } from './protocols/rest/resource.ts';
import { createRest } from './protocols/rest/rest.ts';
import { identified } from './protocols/rest/rest-call.ts';
import { SseEndpoint } from './protocols/sse/endpoint.ts';
import { createClientFile } from './protocols/websocket/client-file.ts';
import type { WebSocketGateway } from './protocols/websocket/gateway.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { TableDefinition } from './schema/definition.ts';
import { entityTagOf } from './store/entity-tag.ts';
import type { BodyStore } from './table/body-store.ts';
import type { Confirmation } from './table/confirmation.ts';
import type { PurgeNote } from './table/purge-note.ts';
import type { QueryScope } from './table/query/scope.ts';
import { formatPosition, type StoreReader, type StoreWriter } from './table/store-port.ts';
import { openAccessLog } from './worker-access-log.ts';
import { threadClients } from './worker-clients.ts';
import { type CodeParts, callOfNobody, codeRoutes } from './worker-code.ts';
import { nodeFacts } from './worker-facts.ts';
import {
  createAdmission,
  limitedAuthenticator,
  limitedResolve,
  notingRefusals,
  shedding,
} from './worker-guard.ts';
import { type HandlerParts, withHandlers } from './worker-handlers.ts';
import type { ThreadIdentity } from './worker-identity.ts';
import { ThreadLimits } from './worker-limits.ts';
import { openGateway } from './worker-live.ts';
import { createOpenApi } from './worker-openapi.ts';
import { createPages, pageAt } from './worker-pages.ts';
import type { PreparedApplication } from './worker-resources.ts';
import { type AppRoutes, createAppHandler } from './worker-routes.ts';
import { openSockets } from './worker-sockets.ts';
import type { ThreadTables } from './worker-tables.ts';

export interface AppParts {
  readonly prepared: PreparedApplication;
  readonly config: Config;
  readonly engine: ChosenEngine;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly bodies: BodyStore;
  readonly threadTables: ThreadTables;
  readonly identity: Pick<ThreadIdentity, 'authenticator' | 'signIns' | 'directory' | 'audit'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly guard: GuardMemory;
  readonly tls: TlsCertificates | undefined;
  /** Where to listen; `shared` when other workers listen there too. */
  readonly port: number;
  readonly shared: boolean;
  /** How many follow what, of all threads. */
  readonly presence: ThreadPresence;
  /** Serves those WebSockets that speak MQTT. */
  readonly mqtt?: Accept | undefined;
  /** Which of the app threads this is; the only one when it is left out. */
  readonly workerIndex?: number | undefined;
  readonly onVerdict: ((line: VerdictLine) => void) | undefined;
  /** Told of every purge that was asked for on this thread. */
  readonly onPurged: (note: PurgeNote) => void;
  /** What follows the files on this thread: whatever can, adds itself. */
  readonly reload: ReloadParts;
}

/** What a thread counts besides its caches and origins. */
export interface AppCounts {
  readonly requests: readonly RequestCounts[];
  readonly authFailures: ReadonlyMap<string, number>;
  readonly refusals: ReadonlyMap<string, number>;
  readonly lag: ReadonlyMap<string, ReturnType<typeof durationCounts>>;
}

export interface RunningApp {
  readonly listener: Listener;
  readonly fanout: Fanout;
  readonly gateway: WebSocketGateway<Principal>;
  readonly clients: LiveClients;
  readonly presence: ThreadPresence;
  readonly counts: AppCounts;
  /** Tells subscribers to come back elsewhere and lets open requests finish. */
  stop(): Promise<void>;
}

function openFanout(
  { reader, clock, threadTables, presence, guard }: AppParts,
  lags: Map<string, ReturnType<typeof durationCounts>>,
): Fanout {
  return new Fanout({
    source: reader,
    clock,
    readRecord: readThrough(reader, (name) => threadTables.tables.get(name)),
    observeLag: (protocol, lag) => observeLag(lags, protocol, lag),
    onFollow(request, change) {
      presence.changed(request, change);
      if (request.owner !== undefined) guard.subscriptions.change(request.owner, change);
    },
  });
}

export async function startApp(parts: AppParts): Promise<RunningApp> {
  const { clock, config, engine } = parts;
  const counts = createCounts();
  const onRejected = (method: string) => increment(counts.authFailures, method);
  const resources = restResources(parts, counts.requests);
  const fanout = openFanout(parts, counts.lag);
  const scopes = [...resources.values()].map(({ table }) => table.scope);
  const codeWith = codeParts(parts, counts.requests);
  openToCode(fanout, codeWith.commit, parts);
  const code = codeRoutes(codeWith, resources);
  threadScope().node = nodeFacts({ ...parts, resources, code });
  const limits = followedLimits(parts);
  const admission = createAdmission({ ...parts, limits });
  const who = { ...limitedAuthenticator(admission, parts), onRejected };
  const pages = createPages({ ...parts, ...who, meter: codeWith.meter });
  const { subscriptions, onDenied } = withRefusals(createSubscriptions(scopes, pages), parts);
  const resolve = limitedResolve(subscriptions, { ...parts, limits });
  const push = { fanout, clock, resolve };
  const streams = new SseEndpoint<Principal>(push);
  const restWith = { ...who, limits: restLimits(config), confirm: confirmWrite };
  const handler = createAppHandler({
    settle: who.settle,
    signIn: createSignInPaths({ ...parts.identity, ...who, clock }),
    resources,
    rest: createRest(restWith),
    code,
    client: createClientFile(new URL('./client/client.min.js', import.meta.url)),
    openApi: createOpenApi(parts.prepared, who),
    serveCode: createServeCustom(restWith),
    events: eventsWith({ streams, who, code }),
    files: staticFiles(parts),
    pages,
  });
  const accessLog = openAccessLog(parts, who.authenticate);
  const onRefused = (limit: string) => increment(counts.refusals, limit);
  const onFault = createFaultLog(parts.log, clock);
  const around = withHandlers(handler, handlerParts(parts, codeWith.commit));
  const shed = (inner: HttpHandler) => shedding(inner, resources, parts);
  const gateway = openGateway({
    ...{ ...parts, push, who, handler: around, shed, admission, onFault, onLimit: onRefused },
    ...{ onDenied, accessLog, publish: createPublish(restWith), routes: { resources, code } },
  });
  const sockets = openSockets(gateway, { ...parts, who, resources, code, pages });
  const shared = withServerOptions(withCors(shed(around), config.http.cors));
  const listener = await engine.listen({
    ...listening(parts),
    handler: countingOthers(withAccessLog(shared, accessLog), parts.threadTables.share),
    webSocket: sockets.handler,
    ...{ onRefused, onDenied, admission, onFault },
  });
  fanout.start();
  return {
    ...{ listener, fanout, gateway, presence: parts.presence },
    clients: threadClients({ gateway, streams, clock, thread: (parts.workerIndex ?? 0) + 1 }),
    counts,
    async stop() {
      listener.stopAccepting();
      sockets.stop();
      streams.stop();
      fanout.stop();
      parts.presence.stop();
      await drained(listener, clock, config.limits.drainMsMax * REQUESTS_DRAIN_SHARE);
      await listener.close();
      accessLog?.close();
    },
  };
}

const countingOthers =
  (handler: HttpHandler, share: LoopShare): HttpHandler =>
  (exchange) => {
    const running = handler(exchange);
    if (running === undefined) share.others += 1;
    return running;
  };

interface EventsParts extends Pick<AppRoutes, 'code'> {
  readonly streams: SseEndpoint<Principal>;
  readonly who: Parameters<typeof identified>[1];
}

/** Code in front of a table is asked before what it judges is followed. */
function eventsWith({ streams, who, code }: EventsParts): AppRoutes['events'] {
  return (exchange) => {
    const client = identified(exchange, who);
    if (client === undefined) return undefined;
    const { principal, standing } = client;
    const { request } = exchange;
    const admitted = code?.match(request.path)?.value.admit?.(request, principal);
    if (admitted === undefined) return streams.serve(exchange, principal, standing);
    return admitted.then(() => streams.serve(exchange, principal, standing));
  };
}

function followedLimits({ config, reload }: AppParts): ThreadLimits {
  const limits = new ThreadLimits(config);
  reload.add(limits);
  return limits;
}

/** Whoever is not granted something is remembered, whatever the protocol. */
function withRefusals(resolve: Resolve<Principal>, { identity, clock }: AppParts) {
  const refusals = new RefusalLog(identity.audit, () => clock.now());
  return {
    subscriptions: notingRefusals(resolve, refusals),
    onDenied: requestRefusals(refusals, identity.authenticator.authenticate, 'http'),
  };
}

/** Where and how the app port listens. */
function listening({ config, port, shared, tls }: AppParts) {
  const { allowedOrigins, allowedHosts, http2 } = config.http;
  const limits = httpLimits(config);
  return { host: config.host, port, shared, tls, limits, allowedOrigins, allowedHosts, http2 };
}

/** What the paths of subscriptions mean, and what of it somebody may follow. */
function createSubscriptions(scopes: readonly QueryScope[], pages: ReturnType<typeof createPages>) {
  return createResolve<Principal>({ scopes, viewOf: subscribeAccess, pageAt: pageAt(pages) });
}

function staticFiles({ prepared }: AppParts) {
  const { publicFolder } = prepared.application;
  return publicFolder === undefined ? undefined : createStaticFiles(publicFolder);
}

/** The part of the time for a stop which requests may take; the store needs the rest. */
const REQUESTS_DRAIN_SHARE = 0.75;
const DRAIN_LOOK_EVERY = durationMs(10);

/** Resolves when every request has its answer, or the time is up. */
async function drained(listener: Listener, clock: Clock, timeoutMs: number): Promise<void> {
  const until = clock.monotonic() + timeoutMs;
  while (listener.openExchanges > 0 && clock.monotonic() < until) {
    await new Promise<void>((resolve) => {
      clock.after(DRAIN_LOOK_EVERY, resolve);
    });
  }
}

function createCounts() {
  return {
    requests: [] as RequestCounts[],
    authFailures: new Map<string, number>(),
    refusals: new Map<string, number>(),
    lag: new Map<string, ReturnType<typeof durationCounts>>(),
  };
}

function restResources(parts: AppParts, counted: RequestCounts[]): Map<string, RestResource> {
  const resources = new Map<string, RestResource>();
  const monotonic = () => parts.clock.monotonic();
  const limit = createLimit(COMPRESSIONS);
  for (const table of parts.threadTables.tables.all()) {
    const exported = table.definition.export;
    if (exported === undefined) continue;
    const meter = new RequestCounts(exported.name, monotonic);
    counted.push(meter);
    const isOpen = () => isOpenToAll(parts, table.definition);
    const ofPolicy = () => ({
      headers: resourceHeaders(table.policy, isOpen),
      encodings: createEncodings(table, { ...parts, limit }),
    });
    const resource: RestResource = {
      table,
      bodies: parts.bodies,
      tagOf: entityTagOf,
      positionOf: (sequence) => formatPosition(parts.reader.epoch, sequence),
      meter,
      monotonic,
      onVerdict: parts.onVerdict,
      ...ofPolicy(),
    };
    table.onPolicy(() => Object.assign(resource, ofPolicy()));
    resources.set(exported.name, resource);
  }
  return resources;
}

/** Whether anybody may read all of it, signed in or not. */
function isOpenToAll({ identity }: AppParts, definition: TableDefinition): boolean {
  const found = identity.authenticator.authenticate(NOBODY);
  return (
    found.kind === 'principal' && accessTo(found.principal, definition, 'read').kind === 'whole'
  );
}

const NOBODY = { method: 'GET', remoteAddress: '', header: () => undefined };

/** Lets application code follow changes, and write when no request asked it to. */
export function openToCode(
  fanout: Fanout,
  commit: CodeParts['commit'],
  parts: Pick<AppParts, 'config' | 'bodies'>,
): void {
  const scope = threadScope();
  const flushes = parts.config.store.durability === 'flushed';
  scope.bodies = { store: parts.bodies, flushes, tagOf: entityTagOf };
  scope.newCall = () => callOfNobody(commit);
  scope.openFeed = (request, sink) => fanout.subscribe(request, sink);
}

function codeParts(parts: AppParts, counted: RequestCounts[]): CodeParts {
  const { writer, config, clock } = parts;
  return {
    ...parts,
    commit: (ops) => writer.commit(ops, config.store.durability),
    meter(name) {
      const counts = new RequestCounts(name, () => clock.monotonic());
      counted.push(counts);
      return counts;
    },
  };
}

function handlerParts(parts: AppParts, commit: CodeParts['commit']): HandlerParts {
  const { application, resources } = parts.prepared;
  return {
    ...parts,
    ...parts.identity.authenticator,
    handlers: resources.handlers,
    commit,
    folder: application.folder,
  };
}

function restLimits({ limits, store }: Config) {
  return {
    bytesMax: limits.requestBodyBytesMax,
    depthMax: limits.jsonDepthMax,
    keysMax: limits.jsonKeysMax,
    rowsDefault: limits.collectionRowsDefault,
    rowsMax: limits.collectionRowsMax,
    uploadBytesMax: limits.uploadBytesMax,
    fileBodyBytesMin: limits.fileBodyBytesMin,
    flushesFiles: store.durability === 'flushed',
  };
}

export function httpLimits({ limits }: Config): HttpLimits {
  return {
    headBytesMax: limits.headBytesMax,
    urlBytesMax: limits.urlBytesMax,
    idleTimeoutSeconds: limits.idleTimeoutSeconds,
    messageBytesMax: limits.messageBytesMax,
    socketBufferBytesMax: limits.socketBufferBytesMax,
    connectionsMax: limits.connectionsMax,
    headerCountMax: limits.headerCountMax,
    headerTimeoutSeconds: limits.headerTimeoutSeconds,
    bodyGraceSeconds: limits.bodyGraceSeconds,
    bodyBytesPerSecondMin: limits.bodyBytesPerSecondMin,
    pipelinedRequestsMax: limits.pipelinedRequestsMax,
  };
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function observeLag(
  lags: Map<string, ReturnType<typeof durationCounts>>,
  protocol: string,
  lagMs: number,
): void {
  let counts = lags.get(protocol);
  if (counts === undefined) {
    counts = durationCounts();
    lags.set(protocol, counts);
  }
  countDuration(counts, Math.max(0, lagMs) / 1000);
}

/** Asked of the thread that replicates. */
const confirmWrite: ConfirmWrite = async (wanted) => {
  const { runOperation } = threadScope();
  const document = { operation: 'confirm_replication', ...wanted };
  const answer = await runOperation?.(document, 'the node');
  return (answer ?? { confirmed: [], missing: [] }) as Confirmation;
};
