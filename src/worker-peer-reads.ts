/**
 * The `PeerReads` port across threads: an app thread has the store thread ask other nodes for a
 * record that it misses. A reader that leaves is told of, so that nobody works for it.
 */
import type { MessagePort } from 'node:worker_threads';
import { NO_REPLY, type PeerMiss, type PeerReads, type PeerReply } from './cache/peer-reply.ts';

type Ask =
  | { readonly kind: 'ask'; readonly call: number; readonly miss: PeerMiss }
  | { readonly kind: 'leave'; readonly call: number };

interface Reply {
  readonly call: number;
  readonly reply: PeerReply;
}

/** The store thread's side, for one app thread. */
export function servePeerReads(peers: PeerReads, port: MessagePort): void {
  const underWay = new Map<number, AbortController>();
  port.on('message', (ask: Ask) => {
    const { call } = ask;
    if (ask.kind === 'leave') {
      underWay.get(call)?.abort();
      return;
    }
    const controller = new AbortController();
    underWay.set(call, controller);
    const tell = (reply: PeerReply) => {
      underWay.delete(call);
      port.postMessage({ call, reply } satisfies Reply);
    };
    peers.ask(ask.miss, controller.signal).then(tell, () => tell(NO_REPLY));
  });
  port.on('close', () => {
    for (const controller of underWay.values()) controller.abort();
  });
}

/** The app thread's side; as many questions are open as there are fetches under way. */
export function connectPeerReads(port: MessagePort): PeerReads {
  const waiting = new Map<number, (reply: PeerReply) => void>();
  let calls = 0;
  port.on('message', ({ call, reply }: Reply) => waiting.get(call)?.(reply));
  return {
    ask(miss, signal) {
      calls += 1;
      const call = calls;
      return new Promise((resolve) => {
        const leave = () => {
          port.postMessage({ kind: 'leave', call } satisfies Ask);
          end(NO_REPLY);
        };
        const end = (reply: PeerReply) => {
          waiting.delete(call);
          signal.removeEventListener('abort', leave);
          resolve(reply);
        };
        waiting.set(call, end);
        signal.addEventListener('abort', leave, { once: true });
        port.postMessage({ kind: 'ask', call, miss } satisfies Ask);
      });
    },
  };
}
