/**
 * Pages whose policy says `client: { signedUrls: true }`: only a signed URL, and only a read, is
 * answered. What is found wrong is told as far as its owner can mend it, and never kept by a cache.
 */
import type { SignedUrls, UrlVerdict } from '../../access/signed-url.ts';
import { NodeError } from '../../base/errors.ts';
import type { HttpRequest } from '../http/port.ts';

export interface UrlSignatures {
  readonly urls: SignedUrls;
  readonly nowMs: () => number;
  /** Told of each that is refused. */
  readonly onRefused: () => void;
}

export type SignedRequest =
  | { readonly kind: 'good'; readonly query: string }
  | { readonly kind: 'refused'; readonly error: NodeError };

type Asked = Pick<HttpRequest, 'method' | 'path' | 'query' | 'header'>;

export function signedRequest(request: Asked, signatures: UrlSignatures): SignedRequest {
  const { method, path, query } = request;
  const host = request.header('host') ?? '';
  const verdict = signatures.urls.verify({ host, path, query }, signatures.nowMs());
  if (verdict.kind === 'good' && (method === 'GET' || method === 'HEAD')) return verdict;
  signatures.onRefused();
  const text = verdict.kind === 'good' ? 'a signed URL is for GET and HEAD' : WHY[verdict.kind];
  return { kind: 'refused', error: new NodeError('ACCESS_DENIED', text, { blame: 'client' }) };
}

const WHY: Readonly<Record<Exclude<UrlVerdict['kind'], 'good'>, string>> = {
  unsigned: 'this page is read by a signed URL only: ask whoever publishes it for one',
  wrong:
    'the signature is not that of this URL: it must reach the node as it was signed, ' +
    'host and query included',
  ended: 'this signed URL has ended: ask for a new one',
};

/** The refusal is of this request, and of no other. */
export const REFUSAL_FIELDS = ['cache-control', 'private, no-store'] as const;
