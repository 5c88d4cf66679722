/**
 * Makes a running origin from its checked settings: loads the kind (or takes the application's
 * code), gives it a guarded way out, and joins a separate feed to it when the settings name one.
 */
import { NodeError } from '../base/errors.ts';
import { LIMITS } from '../config/limits.ts';
import { createAddressGuard } from './address-guard.ts';
import type { Surroundings } from './attempts.ts';
import type { KindServices, KindSettings, OriginDefinition } from './definition.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { loadKind } from './kinds.ts';
import { OriginRuntime, type RuntimeSettings } from './runtime.ts';
import type { OriginSettings } from './settings.ts';

/** Opens an origin described by `origins/NAME.yaml`. Throws `CONFIG_INVALID`. */
export async function openOrigin(
  settings: OriginSettings,
  around: Surroundings,
): Promise<OriginRuntime> {
  // The client counts into the runtime, which is made after it.
  let runtime: OriginRuntime | undefined;
  const client = clientOf(settings, (bytes) => runtime?.countBytes(bytes));
  const services: KindServices = {
    name: settings.name,
    clock: around.clock,
    request: client.request,
    open: client.open,
  };
  const definition = await openKind(settings.kind, kindSettings(settings), services);
  const feed = await openFeed(settings, services);
  const joined = feed === undefined ? definition : { ...definition, subscribe: feed };
  runtime = new OriginRuntime({
    settings: runtimeSettings(settings),
    definition: joined,
    around,
    client,
  });
  return runtime;
}

/** Opens an origin written in code; `settings` carry its limits and may have only a name. */
export function openCodeOrigin(
  definition: OriginDefinition,
  settings: OriginSettings,
  around: Surroundings,
): OriginRuntime {
  return new OriginRuntime({ settings: runtimeSettings(settings), definition, around });
}

async function openKind(
  kindName: string,
  settings: KindSettings,
  services: KindServices,
): Promise<OriginDefinition> {
  const kind = await loadKind(kindName);
  try {
    return kind.open(settings, services);
  } catch (error) {
    if (error instanceof NodeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new NodeError('CONFIG_INVALID', message, { cause: error });
  }
}

/** The `subscribe` of the kind that `feed:` names, at the origin's own address. */
async function openFeed(
  settings: OriginSettings,
  services: KindServices,
): Promise<OriginDefinition['subscribe']> {
  const { feed } = settings;
  if (feed === undefined) return undefined;
  const { kind, ...options } = feed;
  const definition = await openKind(kind, { ...kindSettings(settings), options }, services);
  if (definition.subscribe !== undefined) return definition.subscribe.bind(definition);
  const message = `origin ${settings.name}: kind "${kind}" has no live feed; use kind: sse`;
  throw new NodeError('CONFIG_INVALID', message);
}

const kindSettings = (settings: OriginSettings): KindSettings => ({
  name: settings.name,
  url: settings.url,
  headers: settings.headers,
  health: settings.health,
  options: settings.options ?? {},
});

const runtimeSettings = (settings: OriginSettings): RuntimeSettings => ({
  name: settings.name,
  timeoutMs: settings.timeout,
  retries: settings.retries,
  concurrency: settings.concurrency,
  queueMax: settings.queue,
  breaker: { failures: settings.breaker.failures, cooldownMs: settings.breaker.cooldown },
  bodyMax: settings.bodyMax,
  probeEveryMs: settings.health?.every,
});

const clientOf = (settings: OriginSettings, onBytes: (bytes: number) => void): HttpClient =>
  createHttpClient({
    name: settings.name,
    guard: createAddressGuard(settings.name, settings.allowPrivate),
    // The feed and a health probe hold connections of their own.
    connections: settings.concurrency + 2,
    timeoutMs: settings.timeout,
    bodyMax: settings.bodyMax,
    redirectsMax: LIMITS.originRedirectsMax,
    headBytesMax: LIMITS.originHeadBytesMax,
    decompressionRatioMax: LIMITS.originDecompressionRatioMax,
    decompressionFloorBytes: LIMITS.originDecompressionFloorBytes,
    onBytes,
  });
