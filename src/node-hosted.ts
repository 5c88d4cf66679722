/**
 * Starts the origins that have a `run:` on free ports of loopback, by the thread that holds the
 * store, and follows them. A node whose renderer does not come up starts all the same: what is
 * stored can be served, and health says `degraded`.
 */
import type { Clock } from './base/clock.ts';
import type { Application } from './config/application.ts';
import type { Config } from './config/config.ts';
import type { Log } from './observe/log.ts';
import { HOSTED_HOST } from './origin/hosted-probe.ts';
import { HostedProcess, type HostedState } from './origin/hosted-process.ts';
import { probePort } from './protocols/http/port-probe.ts';
import type { HostedPorts } from './worker-hosted.ts';

export interface HostedOrigins {
  readonly ports: HostedPorts;
  states(): ReadonlyMap<string, HostedState & { readonly restarts: number }>;
  stop(): Promise<void>;
}

export async function startHosted(
  application: Application,
  { clock, log, config }: { readonly clock: Clock; readonly log: Log; readonly config: Config },
): Promise<HostedOrigins> {
  const ports = new Map<string, number>();
  const hosted = new Map<string, HostedProcess>();
  for (const [name, source] of application.origins) {
    if (source.kind === 'code' || source.settings.run === undefined) continue;
    const port = await probePort(HOSTED_HOST, 0);
    ports.set(name, port);
    const { run, health } = source.settings;
    const process = new HostedProcess({
      name,
      command: run,
      folder: application.folder,
      port,
      nodeUrl: nodeUrl(config),
      health,
      clock,
      random: Math.random,
      line: (from, text) => log.info({ origin: name, from }, text),
      moved: (state) => sayMoved(log, name, state),
    });
    hosted.set(name, process);
  }
  await Promise.all([...hosted.values()].map((process) => process.start()));
  return {
    ports,
    states: () =>
      new Map([...hosted].map(([name, { state, restarts }]) => [name, { ...state, restarts }])),
    async stop() {
      await Promise.all([...hosted.values()].map((process) => process.stop()));
    },
  };
}

/**
 * The configuration with a port of its own where any would do: what is run before the node listens
 * is told where it will.
 */
export async function withKnownPort(config: Config, application: Application): Promise<Config> {
  const isHosting = [...application.origins.values()].some(
    (source) => source.kind !== 'code' && source.settings.run !== undefined,
  );
  if (!isHosting || config.http.port !== 0) return config;
  const port = await probePort(config.host, 0);
  return { ...config, http: { ...config.http, port } };
}

/** A node that listens on every address is reached by loopback from here. */
function nodeUrl({ host, http, tls }: Config): string {
  const near = host === '0.0.0.0' || host === '::' ? HOSTED_HOST : host;
  const place = near.includes(':') ? `[${near}]` : near;
  return `${tls === undefined ? 'http' : 'https'}://${place}:${http.port}`;
}

function sayMoved(log: Log, origin: string, state: HostedState): void {
  if (state.kind !== 'down') log.info({ origin, state: state.kind }, 'renderer moved');
  else log.error({ origin, state: state.kind, why: state.why }, 'renderer is down; starting again');
}
