/**
 * The page tables of one thread: each with its origin, its policy and its part of the store, ready
 * to be routed to.
 */
import type { Settle } from './access/authenticate.ts';
import { authorise } from './access/authorise.ts';
import { SignedUrls } from './access/signed-url.ts';
import { createLimit } from './base/limit.ts';
import { toldSchemes } from './cache/pages/cache-key.ts';
import type { ReloadParts } from './config/reload.ts';
import type { FollowedPage, Target } from './feed/resolve.ts';
import type { RequestCounts } from './observe/request-meter.ts';
import { COMPRESSIONS, createEncodings } from './protocols/http/encodings.ts';
import { PageHeads } from './protocols/pages/page-heads.ts';
import type { PagePurges } from './protocols/pages/purge-page.ts';
import { type PageResource, pageKey, type ServePages } from './protocols/pages/serve-pages.ts';
import { type Identification, identify, refuse } from './protocols/rest/rest-call.ts';
import type { ExportProtocol } from './schema/definition.ts';
import { pageRoutes } from './table/pages/page-routes.ts';
import type { PurgeNote } from './table/purge-note.ts';
import type { Table } from './table/table.ts';
import { type PageReadsParts, pageReadsOf } from './worker-page-reads.ts';
import { followUrlKeys } from './worker-url-keys.ts';

export interface PageParts extends Identification, PageReadsParts {
  readonly settle: Settle;
  readonly meter: (name: string) => RequestCounts;
  readonly onPurged: (note: PurgeNote) => void;
  readonly reload: ReloadParts;
}

/** `undefined` when the application has no page table. */
export function createPages(parts: PageParts): ServePages | undefined {
  const compressions = createLimit(COMPRESSIONS);
  const signatures = {
    urls: followedUrls(parts),
    nowMs: () => parts.clock.now(),
    onRefused: () => parts.onRejected('signed-url'),
  };
  const resources = parts.threadTables.tables.all().flatMap((table): PageResource[] => {
    const { pages, typeName } = table.definition;
    if (pages === undefined) return [];
    const { clock, config } = parts;
    const reads = pageReadsOf(table, parts);
    return [
      {
        path: pages.path,
        host: pages.host,
        reads,
        meter: parts.meter(typeName),
        monotonic: () => clock.monotonic(),
        scheme: config.tls === undefined ? 'http' : 'https',
        uploadBytesMax: config.limits.pageUploadBytesMax,
        purges: pagePurges(table, parts),
        signatures,
        heads: new PageHeads(),
        encodings: createEncodings(table, { ...parts, limit: compressions }),
        follows: table.definition.export?.protocols ?? NO_PROTOCOLS,
        definition: table.definition,
      },
    ];
  });
  if (resources.length === 0) return undefined;
  return pageRoutes(
    resources,
    ({ reads }, path) => reads.policyOf(path).settings.client.signedUrls,
  );
}

function followedUrls({ config, reload }: PageParts): SignedUrls {
  const urls = new SignedUrls(config.auth.urlKeys);
  reload.add(followUrlKeys(config.auth.urlKeys, (keys) => urls.use(keys)));
  return urls;
}

const NO_PROTOCOLS: ReadonlySet<ExportProtocol> = new Set();

/** The page at an address, for those who follow it there. */
export function pageAt(
  pages: ServePages | undefined,
): (target: Target) => FollowedPage | undefined {
  return (target) => {
    const { path, header = () => undefined } = target;
    const page = pages?.({ path, header });
    // What is read by a signed URL only is followed by nobody who has none.
    if (page?.reads.policyOf(path).settings.client.signedUrls !== false) return undefined;
    return { table: page.definition, id: pageKey(page, target) };
  };
}

/** Who may purge is known here as everywhere: from credentials, and the grants of `purge`. */
const pagePurges = (
  table: Table,
  identification: Identification & Pick<PageParts, 'settle' | 'onPurged' | 'config'>,
): PagePurges => ({
  table,
  onPurged: identification.onPurged,
  schemes: toldSchemes(identification.config.http.trustedProxies),
  async permits(exchange, id) {
    await identification.settle(exchange.request);
    const principal = identify(exchange, identification);
    if (principal === undefined) return undefined;
    const verdict = authorise(principal, table.definition, 'purge', id);
    if (verdict === 'allowed') return principal.kind === 'anonymous' ? 'anonymous' : principal.name;
    refuse(exchange, table.definition, 'purge', verdict);
    return undefined;
  },
});
