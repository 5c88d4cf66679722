/**
 * A request copied out of its engine, as the protocols see it. The fields are one flat list
 * (lower-case name, value, name, value): cheap to fill in one pass, and the only form that shows a
 * repeated field.
 */

import type { ClientCertificate } from '../../access/asking.ts';
import { clientOf } from './admission.ts';
import type { ProxyTrust } from './client-address.ts';
import type { HttpRequest } from './port.ts';

/** Knows the peer's address while the connection lives. */
export interface Peer {
  readonly peerAddress: string;
  /** Verified by TLS; only the node engine shows it. */
  readonly certificate?: ClientCertificate | undefined;
}

export class RequestCopy implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly fields: readonly string[];
  /** Bytes of the body, or `CHUNKED`; known once the head was inspected. */
  bodyFraming = 0;
  peer: Peer | undefined = undefined;
  trust: ProxyTrust | undefined = undefined;
  #address: string | undefined;

  constructor(method: string, path: string, query: string, fields: readonly string[]) {
    this.method = method;
    this.path = path;
    this.query = query;
    this.fields = fields;
  }

  header(name: string): string | undefined {
    const { fields } = this;
    let found: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      const value = fields[i + 1] as string;
      found = found === undefined ? value : `${found}, ${value}`;
    }
    return found;
  }

  get certificate(): ClientCertificate | undefined {
    return this.peer?.certificate;
  }

  *headers(): Iterable<readonly [string, string]> {
    for (let i = 0; i + 1 < this.fields.length; i += 2) {
      yield [this.fields[i] as string, this.fields[i + 1] as string];
    }
  }

  /** The client's; behind trusted proxies what they say. */
  get remoteAddress(): string {
    this.#address ??= this.#client(this.peer?.peerAddress ?? '');
    return this.#address;
  }

  /** Before the connection may be forgotten by its engine. */
  keepAddress(): void {
    if (this.#address !== undefined || this.peer === undefined) return;
    this.#address = this.#client(this.peer.peerAddress);
  }

  #client(peer: string): string {
    return clientOf(peer, this, this.trust);
  }
}
