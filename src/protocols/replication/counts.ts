/** What happened on the replication port and on the connections this node opened, for metrics. */

/** Why a connection or what came over it was refused; bounded, since they label a metric. */
export type Refusal =
  | 'request'
  | 'protocol'
  | 'credentials'
  | 'certificate'
  | 'name'
  | 'connections'
  | 'forged'
  | 'frame'
  | 'slow';

export interface PeerBytes {
  sent: number;
  received: number;
}

export class LinkCounts {
  readonly refusals = new Map<Refusal, number>();
  /** By the name of the other node. */
  readonly bytes = new Map<string, PeerBytes>();

  refused(refusal: Refusal): void {
    this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
  }

  /** Only names that have proved themselves come here. */
  of(peer: string): PeerBytes {
    const known = this.bytes.get(peer);
    if (known !== undefined) return known;
    const fresh = { sent: 0, received: 0 };
    this.bytes.set(peer, fresh);
    return fresh;
  }
}
