/**
 * `cluster_set_routes`, `cluster_get_routes`, `cluster_delete_routes`: addresses that this node
 * dials beside those of its configuration; kept over restarts. Of a node that answers there its own
 * addresses are learned too.
 */
import type { Arguments, Operation } from '../operation.ts';
import { usage } from '../operation.ts';
import { clusterOf } from './context.ts';
import { isAddress } from './nodes.ts';

const ROUTES_MAX = 256;
const PORT = 9933;

export const clusterGetRoutes: Operation = {
  name: 'cluster_get_routes',
  takes: [],
  run: (_args, context) => ({ routes: clusterOf(context).routes }),
};

export const clusterSetRoutes: Operation = {
  name: 'cluster_set_routes',
  takes: ['routes'],
  async run(args, context) {
    const cluster = clusterOf(context);
    const known = new Set(cluster.routes);
    const routes = routesIn(args);
    const set = routes.filter((route) => !known.has(route));
    const all = [...known, ...set];
    if (all.length > ROUTES_MAX) throw usage(`routes: at most ${ROUTES_MAX}`);
    await cluster.setRoutes(all);
    const skipped = routes.filter((route) => known.has(route));
    return { message: 'cluster routes successfully set', set, skipped };
  },
};

export const clusterDeleteRoutes: Operation = {
  name: 'cluster_delete_routes',
  takes: ['routes'],
  async run(args, context) {
    const cluster = clusterOf(context);
    const routes = routesIn(args);
    const deleted = routes.filter((route) => cluster.routes.includes(route));
    await cluster.setRoutes(cluster.routes.filter((route) => !deleted.includes(route)));
    const skipped = routes.filter((route) => !deleted.includes(route));
    return { message: 'cluster routes successfully deleted', deleted, skipped };
  },
};

/** URLs, or hosts with a port. */
function routesIn({ routes }: Arguments): readonly string[] {
  if (!Array.isArray(routes)) throw usage('routes: a list of URLs, or of { host, port }');
  return [...new Set(routes.map(routeOf))];
}

function routeOf(route: unknown): string {
  const {
    host,
    hostname,
    port = PORT,
    url,
  } = (typeof route === 'object' && route !== null ? route : { url: route }) as Readonly<
    Record<string, unknown>
  >;
  const name = host ?? hostname;
  const told = url ?? (typeof name === 'string' ? `ws://${name}:${String(port)}` : undefined);
  if (typeof told === 'string' && isAddress(told)) return told;
  throw usage(`routes: ${JSON.stringify(route)} is no ws://host:port and no { host, port }`);
}
