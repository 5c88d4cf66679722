/**
 * Takes the bytes of a request: small ones into memory, larger ones as they come into a file of the
 * store, so that neither their size nor the client's pace costs memory.
 */
import type { BodyDraft, BodyStore, StoredBody } from '../../table/body-store.ts';
import type { Exchange } from '../http/port.ts';

export interface UploadLimits {
  /** Greatest size of a body of any type, bytes. */
  readonly uploadBytesMax: number;
  /** Larger bodies are kept in files of their own, bytes. */
  readonly fileBodyBytesMin: number;
  /** A file is on the disk before its write is acknowledged. */
  readonly flushesFiles: boolean;
}

/** Takes all of it into a file, whatever its size. Rejects as `takeUpload` does. */
export async function takeFile(
  exchange: Exchange,
  bodies: BodyStore,
  limits: UploadLimits,
): Promise<StoredBody> {
  const draft = bodies.create('client');
  try {
    for await (const chunk of exchange.requestStream(limits.uploadBytesMax)) {
      if (!draft.write(chunk)) await draft.drained();
    }
    return await draft.finish({ durable: limits.flushesFiles });
  } catch (error) {
    draft.discard();
    throw error;
  }
}

/** Rejects as `requestStream` does, and with `STORE_FULL` or `STORE_FAILED`. */
export async function takeUpload(
  exchange: Exchange,
  bodies: BodyStore,
  limits: UploadLimits,
): Promise<Uint8Array | StoredBody> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  let draft: BodyDraft | undefined;
  try {
    for await (const chunk of exchange.requestStream(limits.uploadBytesMax)) {
      if (draft === undefined && heldBytes + chunk.length <= limits.fileBodyBytesMin) {
        held.push(Uint8Array.prototype.slice.call(chunk));
        heldBytes += chunk.length;
        continue;
      }
      if (draft === undefined) {
        draft = bodies.create('client');
        draft.write(Buffer.concat(held.splice(0)));
      }
      if (!draft.write(chunk)) await draft.drained();
    }
    return draft === undefined
      ? Buffer.concat(held)
      : await draft.finish({ durable: limits.flushesFiles });
  } catch (error) {
    draft?.discard();
    throw error;
  }
}
