/** The certificate and key of a listener, read and checked before an engine sees their names. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { NodeError } from '../../base/errors.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Throws `CONFIG_INVALID` when a file cannot be read or the two do not belong together. */
export function readTls(files: TlsFiles): { readonly cert: Buffer; readonly key: Buffer } {
  const cert = readPem('tls.cert', files.certFile);
  const key = readPem('tls.key', files.keyFile);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const message = `tls.cert (${files.certFile}) and tls.key (${files.keyFile}) cannot be used`;
    throw new NodeError('CONFIG_INVALID', `${message}: ${reason(error)}`, { cause: error });
  }
  return { cert, key };
}

function readPem(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const message = `${key} cannot be read: ${reason(error)}`;
    throw new NodeError('CONFIG_INVALID', message, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
