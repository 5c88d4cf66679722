/**
 * The ready-made origin kinds by name. Each is one file of the top-level `origins/` folder, written
 * against the public surface only, loaded when an origin names it: a node pays for what it uses.
 */
import { NodeError } from '../base/errors.ts';
import type { OriginKindName } from '../config/origin-file.ts';
import { isOriginKind, type OriginKind } from './definition.ts';

/** `module` is not among them: it is code of the application (`resource/compile.ts`). */
export const READY_KINDS: readonly OriginKindName[] = [
  'http',
  'sse',
  'postgres',
  'websocket',
  'mqtt',
  'nats',
  'millrace',
];

/** Loads a kind; throws `CONFIG_INVALID` for one that this version does not have. */
export async function loadKind(name: OriginKindName): Promise<OriginKind> {
  if (!READY_KINDS.includes(name)) {
    const known = READY_KINDS.join(', ');
    const message = `origin kind "${name}" is not in this version; there are: ${known}`;
    throw new NodeError('CONFIG_INVALID', message, { details: { kind: name } });
  }
  const loaded: unknown = await import(kindUrl(name).href);
  const kind =
    typeof loaded === 'object' && loaded !== null && 'kind' in loaded ? loaded.kind : null;
  if (isOriginKind(kind)) return kind;
  throw new NodeError('INTERNAL', `origins/${name} exports no kind`);
}

/** Beside this file's folder when built, at the top of the repository when run from source. */
function kindUrl(name: OriginKindName): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(
    fromSource ? `../../origins/${name}.ts` : `../origins/${name}.js`,
    import.meta.url,
  );
}
