/**
 * Makes a running origin from its checked settings: loads the kind (or takes the application's
 * code), gives it a guarded way out, and joins a separate feed to it when the settings name one.
 */
import { durationMs } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { LIMITS } from '../config/limits.ts';
import {
  ORIGIN_DEFAULTS,
  type OriginKindName,
  type OriginSettings,
} from '../config/origin-file.ts';
import { type AddressGuard, createAddressGuard } from './address-guard.ts';
import { createAgent, type OriginAgent } from './agent.ts';
import type { Surroundings } from './attempts.ts';
import type { KindServices, OriginDefinition, OriginKind, OriginLimits } from './definition.ts';
import { guardedSocket } from './guarded-socket.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { loadKind } from './kinds.ts';
import { Replicas } from './replicas.ts';
import { OriginRuntime, type RuntimeParts, type RuntimeSettings } from './runtime.ts';

/**
 * Opens an origin of `origins/NAME.yaml`, but not of kind `module`; `brought` is the kind that an
 * extension brings for it. Throws `CONFIG_INVALID`.
 */
export async function openOrigin(
  settings: OriginSettings,
  around: Surroundings,
  brought?: OriginKind | undefined,
): Promise<OriginRuntime> {
  // The client counts into the runtime, which is made after it.
  let runtime: OriginRuntime | undefined;
  const guard = createAddressGuard(settings.name, settings.allowPrivate);
  const connectTimeoutMs = settings.connectTimeoutMs ?? settings.timeoutMs;
  const agent = agentOf(settings, guard, connectTimeoutMs);
  const replicas = replicasOf(settings, around);
  const client = clientOf(settings, agent, replicas, (bytes) => runtime?.countBytes(bytes));
  const services: KindServices = {
    name: settings.name,
    after: (ms, fn) => around.clock.after(durationMs(ms), fn),
    request: client.request,
    open: client.open,
    connectSocket: (target) => guardedSocket(target, guard, connectTimeoutMs),
  };
  const definition = await openKind(brought ?? settings.kind, settings, services);
  const feed = await openFeed(settings, services);
  const joined = feed === undefined ? definition : { ...definition, subscribe: feed };
  runtime = new OriginRuntime({
    settings: runtimeSettings(settings),
    definition: joined,
    around,
    client,
    pages: pagesOf(settings, agent),
    replicas,
    probe: settings.health,
    headers: settings.headers,
  });
  return runtime;
}

/** What a code origin takes from its YAML file, when it has one (`kind: module`). */
export type CodeOriginSettings = Omit<OriginSettings, 'kind' | 'place' | 'options' | 'headers'>;

/** Opens an origin written in code: `defineOrigin({ … })` of the application. */
export function openCodeOrigin(
  definition: OriginDefinition,
  name: string,
  around: Surroundings,
  settings?: CodeOriginSettings | undefined,
): OriginRuntime {
  const limits = { ...ORIGIN_DEFAULTS, ...settings, ...given(definition.limits), name };
  return new OriginRuntime({ settings: runtimeSettings(limits), definition, around });
}

async function openKind(
  wanted: OriginKindName | OriginKind,
  settings: OriginSettings,
  services: KindServices,
): Promise<OriginDefinition> {
  const kind = typeof wanted === 'string' ? await loadKind(wanted) : wanted;
  try {
    return kind.open(settings, services);
  } catch (error) {
    if (error instanceof NodeError) throw error;
    throw inFile(settings, error instanceof Error ? error.message : String(error), error);
  }
}

/** The `subscribe` of another kind that `feed:` names; `undefined` when the kind has its own. */
async function openFeed(
  settings: OriginSettings,
  services: KindServices,
): Promise<OriginDefinition['subscribe']> {
  const { feed, kind } = settings;
  if (feed === undefined || feed.kind === kind) return undefined;
  const definition = await openKind(feed.kind, settings, services);
  if (definition.subscribe !== undefined) return definition.subscribe.bind(definition);
  const message = `origin ${settings.name}: kind "${feed.kind}" has no live feed; use kind: sse`;
  throw inFile(settings, message);
}

/** With the file in which it is to be mended. */
function inFile({ place }: OriginSettings, message: string, cause?: unknown): NodeError {
  const { file, line, column } = place;
  const problems = [{ file, line, column, message }];
  return new NodeError('CONFIG_INVALID', message, { cause, details: { problems } });
}

/** The limits that are given: an `undefined` must not hide a default. */
function given(limits: OriginLimits = {}): Partial<CodeOriginSettings> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

type Limits = Omit<RuntimeSettings, 'probeEveryMs'> & Pick<CodeOriginSettings, 'health'>;

const runtimeSettings = (settings: Limits): RuntimeSettings => ({
  ...settings,
  probeEveryMs: settings.health?.everyMs,
});

function replicasOf(
  { replicas, balance, ejection }: OriginSettings,
  { clock, random }: Surroundings,
): Replicas | undefined {
  if (replicas === undefined) return undefined;
  return new Replicas({ replicas, balance, ejection }, clock, random);
}

const agentOf = (
  settings: OriginSettings,
  guard: AddressGuard,
  connectTimeoutMs: number,
): OriginAgent =>
  createAgent({
    guard,
    // The feed and a health probe hold connections of their own.
    connections: settings.concurrency + 2,
    connectTimeoutMs,
    headersTimeoutMs: settings.headersTimeoutMs ?? settings.timeoutMs,
    bodyTimeoutMs: settings.timeoutMs,
    headBytesMax: LIMITS.originHeadBytesMax,
  });

const clientOf = (
  settings: OriginSettings,
  agent: OriginAgent,
  replicas: Replicas | undefined,
  onBytes: (bytes: number) => void,
): HttpClient =>
  createHttpClient({
    name: settings.name,
    agent,
    bodyMax: settings.bodyMax,
    redirectsMax: LIMITS.originRedirectsMax,
    decompressionRatioMax: LIMITS.originDecompressionRatioMax,
    decompressionFloorBytes: LIMITS.originDecompressionFloorBytes,
    onBytes,
    replicas,
  });

function pagesOf(settings: OriginSettings, agent: OriginAgent): RuntimeParts['pages'] {
  const { kind, url, headers, host } = settings;
  if (kind !== 'http' || url === undefined) return undefined;
  const base = new URL(url);
  return { url: base, headers, agent, host };
}
