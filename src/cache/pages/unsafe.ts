/**
 * What a request changed at the origin, and so may not be answered from the cache any more
 * [RFC9111 §4.4]: its own target, and those that `Location` and `Content-Location` name on the same
 * host. A failed request changes nothing. Pure.
 */
import { fieldOf } from './fields.ts';
import type { FieldLines } from './ports.ts';

/** [RFC9110 §9.2.1] Any other method may have changed something. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']);

export const isUnsafe = (method: string): boolean => !SAFE.has(method);

export const changedSomething = (method: string, status: number): boolean =>
  isUnsafe(method) && status >= 200 && status < 400;

/** Targets (path and query) on the same host, the request's own first. */
export function changedTargets(
  request: { readonly host: string; readonly target: string },
  fields: FieldLines,
): readonly string[] {
  const targets = new Set([request.target]);
  for (const name of ['location', 'content-location']) {
    const named = targetOn(request, fieldOf(fields, name));
    if (named !== undefined) targets.add(named);
  }
  return [...targets];
}

/** The path and query of a reference, when it stays on the host. */
export function targetOn(
  { host, target }: { readonly host: string; readonly target: string },
  reference: string | undefined,
): string | undefined {
  if (reference === undefined) return undefined;
  const base = `http://${host}${target}`;
  if (!URL.canParse(reference, base)) return undefined;
  const url = new URL(reference, base);
  return url.host === new URL(base).host ? url.pathname + url.search : undefined;
}
