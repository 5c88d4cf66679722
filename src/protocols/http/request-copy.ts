/**
 * A request copied out of its engine, as the protocols see it. The fields are one flat list
 * (lower-case name, value, name, value): cheap to fill in one pass, and the only form that shows a
 * repeated field.
 */

import type { ClientCertificate } from '../../access/asking.ts';
import { clientOf } from './admission.ts';
import type { ProxyTrust } from './client-address.ts';
import type { HttpRequest } from './port.ts';
import { toldSchemeOf } from './told-scheme.ts';

/** Knows the peer's address while the connection lives. */
export interface Peer {
  readonly peerAddress: string;
  /** Verified by TLS; only the node engine shows it. */
  readonly certificate?: ClientCertificate | undefined;
}

/** One bit of 32 for a name; names that share it are told apart by comparison. */
const markOf = (name: string): number => 1 << ((name.length + name.charCodeAt(0)) & 31);

const UNUSUAL = /[^\t\x20-\x7e]/;

/** One character a byte, and a space for each control character [RFC9110 §5.5]. */
function asOnWire(value: string): string {
  if (!UNUSUAL.test(value)) return value;
  return Buffer.from(value, 'utf8').toString('latin1').replace(CONTROLS, ' ');
}

const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/g;

export class RequestCopy implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly fields: readonly string[];
  /** The engine has decoded values as UTF-8; others give one character a byte. */
  isDecoded = false;
  /** Bytes of the body, or `CHUNKED`; known once the head was inspected. */
  bodyFraming = 0;
  peer: Peer | undefined = undefined;
  trust: ProxyTrust | undefined = undefined;
  #address: string | undefined;
  #peerAddress: string | undefined;
  #toldScheme: HttpRequest['toldScheme'];
  readonly #marks: number;

  constructor(method: string, path: string, query: string, fields: readonly string[]) {
    this.method = method;
    this.path = path;
    this.query = query;
    this.fields = fields;
    let marks = 0;
    for (let i = 0; i < fields.length; i += 2) marks |= markOf(fields[i] as string);
    this.#marks = marks;
  }

  header(name: string): string | undefined {
    // Most of what a request is asked for it does not have: that is known without a comparison.
    if ((this.#marks & markOf(name)) === 0) return undefined;
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
      const value = this.fields[i + 1] as string;
      yield [this.fields[i] as string, this.isDecoded ? asOnWire(value) : value];
    }
  }

  /** The client's; behind trusted proxies what they say. */
  get remoteAddress(): string {
    this.#address ??= clientOf(this.#peer(), this, this.trust);
    return this.#address;
  }

  get toldScheme(): HttpRequest['toldScheme'] {
    const { trust } = this;
    if (trust === undefined) return this.#toldScheme;
    return toldSchemeOf(this, () => this.#peer(), trust);
  }

  /** For a copy, whose proxies are no longer known. */
  set toldScheme(scheme: HttpRequest['toldScheme']) {
    this.#toldScheme = scheme;
  }

  /** Before the connection may be forgotten by its engine. */
  keepAddress(): void {
    this.#peer();
  }

  #peer(): string {
    if (this.#peerAddress === undefined && this.peer !== undefined) {
      this.#peerAddress = this.peer.peerAddress;
    }
    return this.#peerAddress ?? '';
  }
}
