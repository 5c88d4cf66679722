/**
 * The keep-alive pool of one origin: undici's agent, guarded and bounded. One agent an origin, so
 * that a hanging origin takes no connection from another; whatever asks the origin shares it.
 *
 * undici is loaded with the first use: it costs tens of milliseconds and megabytes which a node
 * without HTTP origins does not pay. A connection is not reused after an error, an early close or
 * bytes beyond the message: undici destroys it.
 */
import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import type { Agent, buildConnector } from 'undici';
import type { AddressGuard } from './address-guard.ts';
import { guardedConnector } from './guarded-connector.ts';

export interface AgentOptions {
  readonly guard: AddressGuard;
  /** Connections to one host, at most. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** Longest silence within a body. */
  readonly bodyTimeoutMs: number;
  readonly headBytesMax: number;
}

export interface OriginAgent {
  load(): Promise<Agent>;
  /**
   * Whether a connection of this agent is just now failing: true only while its `error` event is
   * told. undici ends a body which lasts until the connection closes even when that was a reset.
   */
  readonly isFailing: boolean;
  /** Destroys every connection. */
  close(): Promise<void>;
}

export function createAgent(options: AgentOptions): OriginAgent {
  let loading: Promise<Agent> | undefined;
  let failing = false;
  const watch = (socket: { prependListener(event: 'error', listener: () => void): unknown }) =>
    socket.prependListener('error', () => {
      failing = true;
      queueMicrotask(() => {
        failing = false;
      });
    });
  return {
    load() {
      // Whoever asks after a failure tries anew.
      loading ??= loadAgent(options, watch).catch((error: unknown) => {
        loading = undefined;
        throw error;
      });
      return loading;
    },
    get isFailing() {
      return failing;
    },
    async close() {
      const loaded = await loading;
      await loaded?.destroy();
    },
  };
}

async function loadAgent(
  options: AgentOptions,
  watch: (socket: NonNullable<Connected>) => void,
): Promise<Agent> {
  // Not imported: an import that failed once, for want of a descriptor, fails for ever.
  const undici: typeof Undici = createRequire(import.meta.url)('undici');
  const connect = guardedConnector(undici.buildConnector, options.guard, options.connectTimeoutMs);
  return new undici.Agent({
    connect: (target, callback) =>
      connect(target, (...[error, socket]: Parameters<buildConnector.Callback>) => {
        if (error !== null) return callback(error, null);
        watch(socket);
        callback(null, socket);
      }),
    connections: options.connections,
    pipelining: 1,
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs,
    maxHeaderSize: options.headBytesMax,
  });
}

type Connected = Parameters<buildConnector.Callback>[1];
