/**
 * What a scenario is given and what it must be: a title, and a function from the shared bench (the
 * origin, the node, the peers, each started once) to a section of the report.
 */
import { startNginx, startVarnish } from '../peers/installed.ts';
import { type AppFolder, startMillrace, writeApplication } from '../peers/millrace.ts';
import { listeningUrl, type Origin, script, startOrigin } from '../peers/origin.ts';
import type { CompareOptions } from './compare.ts';
import { RawClient, sendAll } from './raw-client.ts';
import type { Section } from './report.ts';
import { type Server, startServer } from './server.ts';

export interface Settings extends CompareOptions {
  /** Also the forms with 1,000,000 keys or records, which take minutes to prepare. */
  readonly large: boolean;
}

export interface Bench {
  readonly settings: Settings;
  readonly origin: Origin;
  readonly folder: AppFolder;
  /** Started on first use and shared by the scenarios of a run; `undefined`: not installed. */
  millrace(): Promise<Server>;
  nginx(): Promise<Server | undefined>;
  varnish(): Promise<Server | undefined>;
  /** Fills `/items/<from>` to `/items/<to - 1>` through a cache, once. */
  fill(cache: Server, to: number): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  readonly run: (bench: Bench) => Promise<Section>;
}

/** Remembers the first result of `make`. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

export async function openBench(settings: Settings): Promise<Bench> {
  const origin = await startOrigin();
  const folder = writeApplication(origin.url);
  const filled = new Map<string, number>();
  return {
    settings,
    origin,
    folder,
    millrace: once(() => startMillrace(folder)),
    nginx: once(() => startNginx(origin.url)),
    varnish: once(() => startVarnish(origin.url)),
    async fill(cache, to) {
      const from = filled.get(cache.url) ?? 0;
      if (from >= to) return;
      await origin.control({});
      await sendAll({
        url: cache.url,
        clients: 32,
        count: to - from,
        request: (client, index) => client.request('GET', `/items/${from + index}`),
      });
      filled.set(cache.url, to);
    },
  };
}

/** A server process of our own TypeScript that sends one answer from memory. */
export function startFixed(name: string, file: string, answer: object): Promise<Server> {
  return startServer({
    name,
    command: process.execPath,
    args: [...script(file), JSON.stringify(answer)],
    readyUrl: listeningUrl,
  });
}

/** The bytes and headers of one answer, without those that every engine adds of its own. */
export async function answerOf(url: string, path: string) {
  const client = await RawClient.connect(url);
  const reply = await client.request('GET', path);
  client.close();
  const own = /^(content-length|date|connection|keep-alive|transfer-encoding|uwebsockets)$/;
  const lines = reply.head.split('\r\n').slice(1);
  const pairs = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  const headers = pairs.filter(([name]) => !own.test(name ?? '')).flat();
  return { status: reply.status, body: reply.body.toString(), headers };
}
