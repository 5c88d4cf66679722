/** The replicas of origins, out of their metrics: part of `origin_status`. */
import { readings } from './readings.ts';

interface ReplicaStatus {
  /** Some thread leaves it out; each judges for itself. */
  ejected: boolean;
  inFlight: number;
  requests: Record<string, number>;
}

/** Origin → replica (`host:port`) → what is known of it; only of origins with several. */
export function replicaStatus(text: string): Record<string, Record<string, ReplicaStatus>> {
  const found: Record<string, Record<string, ReplicaStatus>> = {};
  const of = ({ origin = '', replica = '' }: Readonly<Record<string, string>>): ReplicaStatus => {
    found[origin] ??= {};
    const own = found[origin][replica] ?? { ejected: false, inFlight: 0, requests: {} };
    found[origin][replica] = own;
    return own;
  };
  for (const { labels, value } of readings(text, 'millrace_origin_replica_ejected')) {
    if (value > 0) of(labels).ejected = true;
    else of(labels);
  }
  for (const { labels, value } of readings(text, 'millrace_origin_replica_in_flight')) {
    of(labels).inFlight += value;
  }
  for (const { labels, value } of readings(text, 'millrace_origin_replica_requests_total')) {
    const { requests } = of(labels);
    const { outcome = '' } = labels;
    requests[outcome] = (requests[outcome] ?? 0) + value;
  }
  return found;
}
