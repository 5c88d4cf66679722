/**
 * The stream of a cluster on a NATS server: made when it is missing, left as it is when it is
 * there, and what to say and do when it cannot be had.
 */
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';

/** How much the stream keeps, for how long, and where. */
export interface StreamSettings {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly replicas: number;
  /** JetStream domain of the servers that keep it; absent: of the one that is connected to. */
  readonly domain: string | undefined;
}

/** For how long the server remembers what it was given. */
const DUPLICATE_WINDOW_MS = 120_000;

/** The stream as it is; one that is there keeps the limits that whoever made it has given it. */
export async function ensureStream(
  manager: JetStreamManager,
  name: string,
  subjects: string,
  settings: StreamSettings,
): Promise<StreamInfo> {
  try {
    return await manager.streams.info(name);
  } catch (thrown) {
    const isMissing =
      thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.StreamNotFound;
    if (!isMissing) throw thrown;
  }
  const { maxAgeMs, maxBytes, replicas } = settings;
  return await manager.streams.add({
    ...{ name, subjects: [subjects], retention: RetentionPolicy.Limits },
    ...{ storage: StorageType.File, num_replicas: replicas, max_bytes: maxBytes },
    max_age: nanos(maxAgeMs),
    duplicate_window: nanos(Math.min(DUPLICATE_WINDOW_MS, maxAgeMs)),
    description: 'Millrace: what the nodes of a cluster change',
  });
}

/** What is wrong, and the cure where one is known. */
export function problemOf(thrown: unknown): string {
  if (thrown instanceof Error && thrown.name === 'JetStreamNotEnabled') {
    return (
      'the server has no JetStream for this account: start it with jetstream {} (-js), or name ' +
      'its domain in cluster.nats.stream.domain'
    );
  }
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof JetStreamApiError && /resource|storage|replica/i.test(why)) {
    return `${why}: give the server more room, or lower cluster.nats.stream.maxBytes or .replicas`;
  }
  return why;
}
