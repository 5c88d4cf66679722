/**
 * The ready-made origin kinds by name. Each is one file of the top-level `origins/` folder, written
 * against the public surface only, and loaded when an origin names it: a node pays for what it uses.
 */
import { NodeError } from '../base/errors.ts';
import { isOriginKind, type OriginKind } from './definition.ts';

/** `module` is not among them: it is code of the application (`resource/compile.ts`). */
export const ORIGIN_KINDS = ['http', 'sse'] as const;
export type OriginKindName = (typeof ORIGIN_KINDS)[number];

/** Loads a kind; throws `CONFIG_INVALID`, naming the nearest, when there is none of that name. */
export async function loadKind(name: string): Promise<OriginKind> {
  const known = ORIGIN_KINDS.find((candidate) => candidate === name);
  if (known === undefined) throw unknownKind(name);
  const loaded: unknown = await import(kindUrl(known).href);
  const kind =
    typeof loaded === 'object' && loaded !== null && 'kind' in loaded ? loaded.kind : null;
  if (isOriginKind(kind)) return kind;
  throw new NodeError('INTERNAL', `origins/${known} exports no kind`);
}

/** Beside this file's folder when built, at the top of the repository when run from source. */
function kindUrl(name: OriginKindName): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(
    fromSource ? `../../origins/${name}.ts` : `../origins/${name}.js`,
    import.meta.url,
  );
}

function unknownKind(name: string): NodeError {
  const all = [...ORIGIN_KINDS, 'module'];
  const nearest = all.find((known) => distance(known, name.toLowerCase()) <= 2);
  const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
  const message = `there is no origin kind "${name}"${hint} Known: ${all.join(', ')}`;
  return new NodeError('CONFIG_INVALID', message, { details: { kind: name, nearest } });
}

/** Edit distance of two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
