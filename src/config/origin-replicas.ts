/**
 * `url:` of an origin: one URL, or a list of replicas, each with a weight. Replicas answer alike,
 * so that they differ in host and port only.
 */
import { LIMITS } from './limits.ts';
import { listOf, nonEmpty, positive, type Reader, reject, shape } from './readers.ts';

export interface ReplicaUrl {
  readonly url: string;
  readonly weight: number;
}

const url: Reader<string> = (node, path, problems) => {
  const written = nonEmpty(node, path, problems);
  if (written === undefined || URL.canParse(written)) return written;
  return reject(node, path, 'a whole URL, such as https://api.example.com', problems);
};

const weighted = shape({ url, weight: positive });

const replica: Reader<ReplicaUrl> = (node, path, problems) => {
  if (node.kind !== 'map') {
    const plain = url(node, path, problems);
    return plain === undefined ? undefined : { url: plain, weight: 1 };
  }
  const read = weighted(node, path, problems);
  if (read === undefined) return undefined;
  if (read.url === undefined) return reject(node, path, '{ url: URL, weight: N }', problems);
  return { url: read.url, weight: read.weight ?? 1 };
};

export const replicaUrls: Reader<readonly ReplicaUrl[]> = (node, path, problems) => {
  const found = listOf(replica)(node, path, problems);
  const [first, ...others] = found ?? [];
  if (found === undefined || first === undefined) {
    return found === undefined ? undefined : reject(node, path, 'at least one URL', problems);
  }
  if (found.length > LIMITS.originReplicasMax) {
    return reject(node, path, `at most ${LIMITS.originReplicasMax} replicas`, problems);
  }
  const odd = others.find((other) => placeless(other.url) !== placeless(first.url));
  if (odd !== undefined) {
    return reject(node, path, `replicas with the scheme and path of ${first.url}`, problems);
  }
  const hosts = new Set(found.map((one) => new URL(one.url).host));
  if (hosts.size < found.length) return reject(node, path, 'every replica once', problems);
  return found;
};

const placeless = (text: string): string => {
  const { protocol, pathname, search } = new URL(text);
  return `${protocol}${pathname}${search}`;
};
