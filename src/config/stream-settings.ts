/**
 * The stream of a NATS server in which the changes of a fleet are kept: whether there is one, for
 * how long it keeps them, how many, and where. They take effect when the stream is made.
 */
import type { SettingValues } from './settings.ts';

export interface StreamSettings {
  readonly isEnabled: boolean;
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly replicas: number;
  /** JetStream domain of the servers that keep it; absent: of the one that is connected to. */
  readonly domain: string | undefined;
}

/** Who was away for longer, or missed more, is sent it by another node. */
const MAX_AGE_MS = 24 * 60 * 60 * 1_000;
const MAX_BYTES = 1024 * 1024 * 1024;

export function streamSettings(values: SettingValues): StreamSettings {
  return {
    isEnabled: values['cluster.nats.stream.enabled'] ?? true,
    maxAgeMs: values['cluster.nats.stream.maxAge'] ?? MAX_AGE_MS,
    maxBytes: values['cluster.nats.stream.maxBytes'] ?? MAX_BYTES,
    replicas: values['cluster.nats.stream.replicas'] ?? 1,
    domain: values['cluster.nats.stream.domain'],
  };
}
