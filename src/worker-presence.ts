/**
 * The presence of a thread joined to the hub on the store thread: directly where they are the same
 * thread, by messages where they are not.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from './base/clock.ts';
import { type FromHub, type PresenceHub, ThreadPresence, type ToHub } from './feed/presence.ts';

export function localPresence(hub: PresenceHub, clock: Clock): ThreadPresence {
  const presence: ThreadPresence = new ThreadPresence(clock, (message) => say(message));
  const say = hub.join((message) => presence.hear(message));
  return presence;
}

/** The store thread's side. */
export function servePresence(hub: PresenceHub, port: MessagePort): void {
  const hear = hub.join((message) => port.postMessage(message));
  port.on('message', (message: ToHub) => hear(message));
  port.unref();
}

/** The side of an app thread. */
export function connectPresence(port: MessagePort, clock: Clock): ThreadPresence {
  const presence = new ThreadPresence(clock, (message) => port.postMessage(message));
  port.on('message', (message: FromHub) => presence.hear(message));
  port.unref();
  return presence;
}
