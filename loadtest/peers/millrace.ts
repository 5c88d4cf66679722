/**
 * The node under test: an application written to a temporary folder, `dist/main.js start` on it
 * with one thread, its ready line read. The schema has a table cached over the scripted origin,
 * one whose entries are stale at once, and tables of its own that clients write and query.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Server, startServer } from '../harness/server.ts';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const schema = `
type items @table @export(public: [read])
  @sourcedFrom(origin: "items", path: "/items/{id}") @cache(policy: "kept") {
  id: ID! @primaryKey
}
type stale @table @export(public: [read])
  @sourcedFrom(origin: "hanging", path: "/items/{id}") @cache(policy: "stale-at-once") {
  id: ID! @primaryKey
}
type failing @table @export(public: [read])
  @sourcedFrom(origin: "failing", path: "/items/{id}") @cache(policy: "no-stale") {
  id: ID! @primaryKey
}
type Page @pages(origin: "items", policy: "kept", path: "/pages/*")
type Note @table @export(public: [read, insert, update, subscribe, publish]) {
  id: ID! @primaryKey
  kind: String @indexed
  text: String
}
type Reading @table @export(public: [read, insert, update]) {
  id: ID! @primaryKey
  sensor: String @indexed
  at: Long @indexed
  value: Float
  note: String
}
type Small @table @export(public: [read, insert]) { id: ID! @primaryKey, kind: Int @indexed }
type Medium @table @export(public: [read, insert]) { id: ID! @primaryKey, kind: Int @indexed }
type Big @table @export(public: [read, insert]) { id: ID! @primaryKey, kind: Int @indexed }
type Count @table @export(public: [read, insert, update]) { id: ID! @primaryKey, n: Long }
`;

/** All clients of a load test come from one address. */
const settings = `
mqtt: { requireAuthentication: false }
limits:
  connectionsPerAddressMax: 20000
  connectionsPerAddressSecondMax: 100000
  mqttConnectionsMax: 20000
`;

const policies: Readonly<Record<string, string>> = {
  kept: 'freshness: { default: 1h, origin: ignore, jitter: 0% }\n',
  'stale-at-once': `freshness: { default: 1s, origin: ignore, jitter: 0% }
stale: { whileRevalidate: 1h, ifError: 1h }
`,
  'no-stale': `freshness: { default: 1s, origin: ignore, jitter: 0% }
stale: { whileRevalidate: 0s, ifError: 0s }
negative: { 5xx: 1s }
`,
};

export interface AppFolder {
  readonly app: string;
  readonly data: string;
}

/** Writes the application; its data folder is beside it. */
export function writeApplication(originUrl: string): AppFolder {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-'));
  const app = join(folder, 'app');
  mkdirSync(join(app, 'origins'), { recursive: true });
  mkdirSync(join(app, 'cache-policies'));
  writeFileSync(join(app, 'schema.graphql'), schema);
  writeFileSync(join(app, 'millrace.yaml'), settings);
  for (const [name, text] of Object.entries(policies)) {
    writeFileSync(join(app, 'cache-policies', `${name}.yaml`), text);
  }
  const origin = `kind: http\nurl: ${originUrl}\nallowPrivate: true\nconcurrency: 64\nretries: 0\n`;
  // One server, three origins: what one scenario does to a breaker must not reach the next.
  for (const name of ['items', 'hanging', 'failing']) {
    writeFileSync(join(app, 'origins', `${name}.yaml`), origin);
  }
  return { app, data: join(folder, 'data') };
}

const readyUrl = (output: string): string | undefined =>
  /\{"msg":"ready","http":"([^"]*)"/.exec(output)?.[1];

export interface NodeOptions {
  readonly threads?: number | undefined;
  readonly core?: number | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly nodeArgs?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Makes of its command one that starts it inside of something. */
  readonly within?: ((command: string, args: readonly string[]) => [string, string[]]) | undefined;
}

/** Starts the node; its application's folder stays until the run ends. */
export function startMillrace(folder: AppFolder, options: NodeOptions = {}): Promise<Server> {
  const ports = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];
  const threads = ['--threads', String(options.threads ?? 1), '--log-level', 'warn'];
  const flags = options.flags ?? [];
  const args = ['start', folder.app, '--data', folder.data, ...ports, ...threads, ...flags];
  const within = options.within ?? ((command, all) => [command, [...all]]);
  const [command, all] = within(process.execPath, [...(options.nodeArgs ?? []), main, ...args]);
  return startServer({
    name: 'Millrace',
    command,
    args: all,
    core: options.core,
    env: { NODE_ENV: 'production', ...options.env },
    readyUrl,
    seconds: 120,
  });
}
