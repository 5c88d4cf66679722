/**
 * Origins that this node runs itself, as every thread sees them: their URL is the port on which the
 * store thread started them, and that one place of loopback may be reached.
 */
import type { Application, OriginSource } from './config/application.ts';
import { HOSTED_HOST } from './origin/hosted-probe.ts';

/** Origin → port. */
export type HostedPorts = ReadonlyMap<string, number>;

export function withHostedOrigins(application: Application, ports: HostedPorts): Application {
  if (ports.size === 0) return application;
  const origins = new Map(
    [...application.origins].map(([name, source]) => [name, reached(source, ports.get(name))]),
  );
  return { ...application, origins };
}

function reached(source: OriginSource, port: number | undefined): OriginSource {
  if (source.kind === 'code' || port === undefined) return source;
  const place = `${HOSTED_HOST}:${port}`;
  const { allowPrivate } = source.settings;
  const settings = {
    ...source.settings,
    url: `http://${place}`,
    allowPrivate:
      typeof allowPrivate === 'boolean' ? allowPrivate || [place] : [...allowPrivate, place],
  };
  return { kind: 'settings', settings };
}
