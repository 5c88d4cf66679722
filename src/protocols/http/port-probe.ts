/**
 * Asks the kernel whether a port can be had for oneself. With SO_REUSEPORT a second process would
 * join a taken port silently and receive half of its connections, so a start probes first; and uWS
 * says only that it cannot listen, so the probe also finds out why.
 */
import { createServer } from 'node:net';
import { NodeError } from '../../base/errors.ts';

/**
 * Resolves with the port when `host:port` is free (for port 0: one that is); rejects with
 * `PORT_IN_USE` or `CONFIG_INVALID`.
 */
export function probePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = address === null || typeof address === 'string' ? port : address.port;
      server.close(() => resolve(bound));
    });
  });
}

/** The node's own error for a failed `listen`. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): NodeError {
  const where = `${host}:${port}`;
  if (error.code === 'EADDRINUSE') return portInUse(host, port, error);
  const cure =
    error.code === 'EACCES'
      ? 'ports below 1024 need a privilege; choose a higher one'
      : 'the host must be an address of this machine';
  return new NodeError('CONFIG_INVALID', `cannot listen on ${where} (${error.code}): ${cure}`, {
    cause: error,
  });
}

export function portInUse(host: string, port: number, cause?: unknown): NodeError {
  const message = `${host}:${port} is taken by another process; stop it or choose another port`;
  return new NodeError('PORT_IN_USE', message, { cause, details: { host, port } });
}
