/**
 * Whom a node believes among the others: its certificate and the authority's, and the serial
 * numbers that are not believed any more. A reload takes over a renewed certificate and what was
 * revoked: new connections are made with the one, and those of the others are ended at once.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { NodeError } from './base/errors.ts';
import { type Config, readOptional } from './config/config.ts';
import type { PreparedPart, ReloadPart } from './config/reload.ts';
import { ClusterFolder } from './protocols/replication/cluster-folder.ts';
import type { PeerConnection } from './protocols/replication/connection.ts';
import { type LinkTls, tlsOf } from './protocols/replication/link-options.ts';

export class ClusterTrust implements ReloadPart {
  readonly name = 'cluster certificates';
  readonly settings = ['cluster.revoked', 'cluster.tls'];
  /** Takes a renewed certificate over where others dial in. */
  onRenewed: (tls: LinkTls) => void = () => {};
  readonly #connections = new Set<PeerConnection>();
  #tls: LinkTls | undefined;
  #revoked: ReadonlySet<string>;

  /** Throws `CONFIG_INVALID`. */
  constructor(config: Config) {
    this.#tls = readTls(config);
    this.#revoked = new Set(config.cluster.revoked);
  }

  get tls(): LinkTls | undefined {
    return this.#tls;
  }

  get revoked(): ReadonlySet<string> {
    return this.#revoked;
  }

  /** It is ended when the certificate that it was made with is revoked. */
  watch(connection: PeerConnection): PeerConnection {
    for (const one of this.#connections) if (!one.isOpen) this.#connections.delete(one);
    this.#connections.add(connection);
    return connection;
  }

  prepare({ config }: Parameters<ReloadPart['prepare']>[0]): PreparedPart {
    const tls = readTls(config);
    const revoked = new Set(config.cluster.revoked);
    const restarts = this.#restartsFor(tls);
    if (tls !== undefined && restarts.length === 0) checkTls(tls);
    const isRenewed = restarts.length === 0 && tls?.cert !== this.#tls?.cert;
    const added = [...revoked].filter((serial) => !this.#revoked.has(serial));
    const removed = [...this.#revoked].filter((serial) => !revoked.has(serial));
    const changes = [
      ...(isRenewed ? ['another certificate of this node for new connections'] : []),
      ...(added.length > 0 ? [`certificates revoked: ${added.join(', ')}`] : []),
      ...(removed.length > 0 ? [`certificates believed again: ${removed.join(', ')}`] : []),
    ];
    const apply = () => {
      this.#revoked = revoked;
      if (isRenewed && tls !== undefined) {
        this.#tls = tls;
        this.onRenewed(tls);
      }
      this.#endRevoked();
    };
    return { changes, restarts, apply };
  }

  #restartsFor(tls: LinkTls | undefined): string[] {
    const isSwitched = (tls === undefined) !== (this.#tls === undefined);
    if (isSwitched) return ['cluster.tls: certificates are taken up, or given up, at start only'];
    return tls?.ca === this.#tls?.ca ? [] : ['cluster.tls.ca: it is what makes the cluster'];
  }

  #endRevoked(): void {
    for (const connection of [...this.#connections]) {
      const { serial } = connection;
      if (serial === undefined || !this.#revoked.has(serial)) continue;
      this.#connections.delete(connection);
      connection.close(`the certificate ${serial} has been revoked`);
    }
  }
}

function readTls({ cluster, dataFolder }: Config): LinkTls | undefined {
  const { tls: files } = cluster;
  if (files === undefined) return new ClusterFolder(dataFolder).certificates();
  const read = (key: 'ca' | 'cert' | 'key'): string => {
    const text = readOptional(files[key]);
    if (text !== undefined) return text;
    throw new NodeError('CONFIG_INVALID', `cluster.tls.${key}: ${files[key]} cannot be read`);
  };
  return { ca: read('ca'), cert: read('cert'), key: read('key') };
}

/** Throws `CONFIG_INVALID` for what no connection could be made with. */
function checkTls(tls: LinkTls): void {
  let why: string | undefined;
  try {
    createSecureContext(tlsOf(tls));
    const isOwn = new X509Certificate(tls.cert).verify(new X509Certificate(tls.ca).publicKey);
    if (!isOwn) why = 'the certificate is not signed by that of cluster.tls.ca';
  } catch (error) {
    why = (error as Error).message;
  }
  if (why === undefined) return;
  const cure = 'the old one stays in force; put a certificate and its key in place, and reload';
  throw new NodeError('CONFIG_INVALID', `cluster.tls: ${why}; ${cure}`);
}
