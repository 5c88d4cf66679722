/** Applications that cache a scripted origin, and what tests ask of their answers. */
import { type NodeOptions, type NodeProcess, startNode } from './node-process.ts';

export interface CachedTable {
  readonly name: string;
  /** What stands between the parentheses of `@cache`; no policy without it. */
  readonly cache?: string | undefined;
  readonly origin?: string | undefined;
  readonly path?: string | undefined;
  readonly attributes?: string | undefined;
  /** How it replicates, as `@table` says it. */
  readonly replicate?: string | undefined;
  /** What becomes of writes, as `@sourcedFrom` says it. */
  readonly write?: 'through' | undefined;
}

const OPEN = '@export(public: [read, insert, update, delete, subscribe])';

/** A table over the origin `api`, which anybody may use. */
export function cachedTable(table: CachedTable): string {
  const { name, cache, origin = 'api', path = `/${name}/{id}`, attributes = 'n: Int' } = table;
  const policy = cache === undefined ? '' : `@cache(${cache})`;
  const write = table.write === undefined ? '' : `, write: ${table.write}`;
  const source = `@sourcedFrom(origin: "${origin}", path: "${path}"${write})`;
  const kept = table.replicate === undefined ? '' : `(replicate: ${table.replicate})`;
  const fields = `{ id: ID @primaryKey, ${attributes} }`;
  return `type ${name} @table${kept} ${source} ${policy} ${OPEN} ${fields}\n`;
}

/** `origins/api.yaml` for an origin on this machine. */
export const originFile = (url: string, more = ''): string =>
  `kind: http\nurl: ${url}\nallowPrivate: true\n${more}\n`;

export interface CacheApp {
  readonly tables: readonly CachedTable[];
  readonly url: string;
  /** More lines of the origin's file. */
  readonly origin?: string | undefined;
  readonly threads?: number | undefined;
  readonly files?: NodeOptions['files'] | undefined;
  readonly folder?: string | undefined;
}

export function startCache(app: CacheApp): Promise<NodeProcess> {
  return startNode({
    files: {
      'schema.graphql': app.tables.map(cachedTable).join(''),
      'origins/api.yaml': originFile(app.url, app.origin),
      ...app.files,
    },
    flags: ['--threads', String(app.threads ?? 1)],
    ...(app.folder === undefined ? {} : { folder: app.folder }),
  });
}

export interface Answer {
  readonly status: number;
  /** The field `Cache-Status`. */
  readonly cache: string;
  readonly age: number;
  readonly headers: Headers;
  readonly text: string;
  readonly ms: number;
}

/** Reads a record; `control` is sent as `Cache-Control`. */
export async function read(node: NodeProcess, target: string, control?: string): Promise<Answer> {
  const began = performance.now();
  const headers = control === undefined ? {} : { 'cache-control': control };
  const response = await node.fetch(target, { headers });
  const text = await response.text();
  return {
    status: response.status,
    cache: response.headers.get('cache-status') ?? '',
    age: Number(response.headers.get('age') ?? Number.NaN),
    headers: response.headers,
    text,
    ms: performance.now() - began,
  };
}

/** The stable code of a problem document. */
export const problemCode = (answer: Answer): unknown => {
  const document = JSON.parse(answer.text) as { code?: unknown };
  return document.code;
};

/** Waits in real time: for lifetimes that the node's own clock must pass. */
export const pass = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
