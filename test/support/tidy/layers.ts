/**
 * The layer table of STYLE §1.1 and the import directions of §1.2, as data. `values` are the
 * folders whose code a folder may use; `types` those of which it may only name types (ports and
 * definitions). `ports` are single files of another layer which declare what an adapter implements
 * or hands over: a port lives with its user, and may carry the pure functions of its own shapes.
 *
 * Additions to STYLE §1.1, argued once: `config` reads an application's files, so it uses the
 * parsers of `schema` and the defaults of `cache`, which never look back; `schema` may name types
 * of `cache`, whose entries carry the index values that it computes; `config/limits.ts` holds
 * constants only, so every folder from layer 2 on may read it; protocols may use the pure rules of
 * `cache` and `schema`, which lie far below them and never touch a store.
 */

export interface Layer {
  readonly folder: string;
  readonly layer: number;
  readonly values: readonly string[];
  readonly types: readonly string[];
  readonly ports?: readonly string[] | undefined;
}

const below = ['base', 'cache', 'schema', 'access', 'table', 'resource', 'feed'];

const protocol = (name: string): Layer => ({
  folder: `protocols/${name}`,
  layer: 5,
  values: [...below, 'protocols/http'],
  types: [],
});

export const LAYERS: readonly Layer[] = [
  { folder: 'base', layer: 0, values: [], types: [] },
  { folder: 'config', layer: 1, values: ['base', 'schema', 'cache'], types: [] },
  { folder: 'schema', layer: 1, values: ['base'], types: ['cache'] },
  { folder: 'cache', layer: 1, values: ['base'], types: ['schema'] },
  {
    folder: 'store',
    layer: 2,
    values: ['base', 'schema', 'cache'],
    types: [],
    ports: [
      'table/store-port.ts',
      'table/body-store.ts',
      'table/record-groups.ts',
      'replication/ports.ts',
    ],
  },
  { folder: 'origin', layer: 2, values: ['base', 'config', 'cache'], types: ['schema'] },
  { folder: 'table', layer: 3, values: ['base', 'schema', 'cache'], types: [] },
  {
    folder: 'feed',
    layer: 4,
    values: ['base'],
    types: ['table', 'cache', 'schema'],
    ports: [
      'cache/record-json.ts',
      'table/pages/page-row.ts',
      'table/store-port.ts',
      'table/record-key.ts',
      'table/query/row-filter.ts',
      'table/query/row-view.ts',
    ],
  },
  {
    folder: 'replication',
    layer: 4,
    values: ['base', 'table', 'feed'],
    types: ['cache', 'schema'],
    ports: ['cache/row-state.ts', 'cache/row-digest.ts', 'cache/peer-reply.ts'],
  },
  {
    folder: 'resource',
    layer: 4,
    values: ['base', 'config', 'schema', 'cache', 'table', 'feed'],
    types: ['origin'],
    ports: ['origin/definition.ts'],
  },
  {
    folder: 'access',
    layer: 4,
    values: ['base', 'schema'],
    types: ['config', 'cache', 'table'],
    ports: [
      'table/store-port.ts',
      'table/seen-record.ts',
      'table/query/row-view.ts',
      'cache/entry.ts',
    ],
  },
  { folder: 'protocols/http', layer: 5, values: below, types: [] },
  ...['rest', 'pages', 'sse', 'websocket', 'mqtt'].map(protocol),
  {
    folder: 'protocols/replication',
    layer: 5,
    values: ['base', 'cache', 'table', 'replication', 'protocols/http'],
    types: [],
  },
  {
    folder: 'operations',
    layer: 5,
    values: ['base', 'access', 'table', 'feed', 'replication', 'config'],
    types: ['cache', 'schema', 'resource', 'origin', 'protocols/http'],
  },
  {
    folder: 'observe',
    layer: 5,
    values: ['base'],
    types: ['cache', 'schema', 'config', 'origin', 'table', 'feed', 'store'],
  },
  // What runs in a renderer's process, not in the node: published as `millrace/render` and `/next`.
  { folder: 'render', layer: 6, values: ['cache', 'table'], types: [] },
  { folder: 'next', layer: 6, values: ['render', 'base', 'cache', 'table'], types: [] },
  // What runs in a browser or a program, not in the node: published as `millrace/client`.
  { folder: 'client', layer: 6, values: [], types: [] },
  { folder: 'studio', layer: 5, values: [], types: ['operations'] },
];

/** Folders from layer 2 on may read these constants. */
export const SHARED_CONSTANTS = 'config/limits.ts';

/** The files directly under `src/` that construct and connect everything else, and `cli/`. */
export const COMPOSITION =
  /^(main|index|node(-[a-z0-9-]+)?|worker(-[a-z0-9-]+)?)\.ts$|^(cli|node)\//;

/**
 * Each third-party library and the one folder of the repository that may import it. msgpackr has
 * three, which share nothing but the format: the store's own blocks, trusted and with its
 * extensions, and bodies of clients and frames of nodes, walked first and without any of them.
 */
export const LIBRARIES: Readonly<Record<string, string | readonly string[]>> = {
  '@node-rs/argon2': 'src/access/',
  'cbor-x': 'src/protocols/http/',
  chokidar: 'src/cli/',
  commander: 'src/cli/',
  'csv-parse': 'src/protocols/rest/formats/',
  'csv-stringify': 'src/protocols/rest/formats/',
  esbuild: 'src/resource/',
  graphql: 'src/schema/',
  jose: 'src/access/',
  lmdb: 'src/store/lmdb/',
  'lru-cache': 'src/base/',
  'mqtt-packet': ['src/protocols/mqtt/', 'origins/'],
  msgpackr: ['src/store/', 'src/protocols/http/', 'src/protocols/replication/'],
  'p-limit': 'src/base/',
  picocolors: 'src/cli/',
  pino: 'src/observe/',
  '@nats-io/jetstream': ['src/protocols/replication/', 'origins/'],
  '@nats-io/transport-node': ['src/protocols/replication/', 'origins/'],
  pg: 'origins/',
  'prom-client': 'src/observe/',
  undici: 'src/origin/',
  ws: ['src/protocols/http/node/', 'src/protocols/replication/', 'origins/'],
  yaml: 'src/config/',
  zod: 'src/config/',
};
