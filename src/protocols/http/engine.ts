/**
 * Chooses the HTTP engine at start, and says why. A forced engine that cannot be loaded is an
 * error; `auto` prefers uWS (about twice as fast) and says in `reason` what kept it from that, for
 * the log.
 */
import { NodeError } from '../../base/errors.ts';
import type { HttpEngine, Listen } from './port.ts';
import { uwsListen } from './uws/adapter.ts';
import { loadUws } from './uws/load.ts';

export interface ChosenEngine {
  readonly engine: HttpEngine;
  readonly listen: Listen;
  /** Why this engine, as one sentence for the log. */
  readonly reason: string;
  /** Several workers can listen on one port; otherwise only one worker may serve HTTP. */
  readonly sharesPorts: boolean;
  /** The uWS binary that was checked: other threads of the process load it without hashing it. */
  readonly uwsPath?: string | undefined;
}

export interface EngineOptions {
  /**
   * An operator's own uWebSockets.js build (`MILLRACE_UWS_PATH`), used instead of the shipped ones.
   */
  readonly uwsPath?: string | undefined;
  /**
   * TLS is served by the node engine unless uWS is forced: its TLS cannot see client certificates.
   */
  readonly tls?: boolean | undefined;
}

/**
 * Rejects with `CONFIG_INVALID` when `wanted` is `uws` and no build can be loaded. The engine that
 * is not chosen is not even loaded: a start has half a second in all.
 */
export async function selectEngine(
  wanted: 'auto' | HttpEngine,
  options: EngineOptions = {},
): Promise<ChosenEngine> {
  if (wanted === 'node') return nodeEngine('the configuration asks for it');
  if (wanted === 'auto' && options.tls === true) {
    return nodeEngine('TLS is configured, which this engine serves in full');
  }
  const loaded = loadUws(options.uwsPath);
  if (loaded.kind === 'unusable') {
    if (wanted === 'auto') return nodeEngine(`uWebSockets.js cannot be loaded (${loaded.reason})`);
    const message =
      `http.engine is "uws", but uWebSockets.js cannot be loaded (${loaded.reason}); ` +
      'use "auto" or "node", or name a build for this machine in MILLRACE_UWS_PATH';
    throw new NodeError('CONFIG_INVALID', message);
  }
  return {
    engine: 'uws',
    listen: uwsListen(loaded.uws),
    reason: `uWebSockets.js ${loaded.build} loads on this machine`,
    // Elsewhere the kernel does not balance between sockets of one port.
    sharesPorts: process.platform === 'linux',
    uwsPath: loaded.file,
  };
}

async function nodeEngine(reason: string): Promise<ChosenEngine> {
  const { nodeListen, nodeSharesPorts } = await import('./node/adapter.ts');
  return { engine: 'node', listen: nodeListen, reason, sharesPorts: nodeSharesPorts() };
}
