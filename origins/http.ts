/**
 * Origin kind `http`: records behind an HTTP API, one URL a record.
 *
 *   kind: http
 *   url: https://api.example.com/v1      # the table's path is appended: /v1/flights/AA100
 *   headers: { authorization: "Bearer ${env.TOKEN}" }
 *   list: /flights                       # all records, for queries; pages by Link: rel=next
 *   items: $.data                        # where in the answer the array stands
 *
 * An entry that is being replaced makes a conditional request; 404 and 410 mean that there is no
 * such record; every other status but 2xx is a failure. Ids are percent-encoded, and can not climb
 * out of their place in the path.
 */
import {
  defineOriginKind,
  type GetContext,
  type JsonRecord,
  type KindServices,
  type KindSettings,
  type ListContext,
  type OriginDefinition,
  originPath,
  type RecordId,
  type TableBinding,
  type WriteContext,
} from 'millrace';

export const kind = defineOriginKind({ name: 'http', open: openHttp });

/** Also what another kind begins with whose records lie behind HTTP. */
export function openHttp(settings: KindSettings, services: KindServices): OriginDefinition {
  const base = baseUrl(settings);
  const headers = { 'user-agent': 'millrace', ...settings.headers };
  const health = settings.health;
  return {
    get: (id, context) =>
      services.request(recordUrl(base, id, context), {
        headers: { ...wishes(context), ...headers, ...conditions(context) },
        signal: context.stop ?? context.signal,
      }),
    put: (id, record, context) => send('PUT', id, record, context),
    patch: (id, patch, context) => send('PATCH', id, patch, context),
    async delete(id, context) {
      const url = recordUrl(base, id, context);
      const reply = await services.request(url, {
        method: 'DELETE',
        headers: { accept: 'application/json', ...headers },
        signal: context.signal,
      });
      // What is already gone has been deleted.
      return reply.status === 404 || reply.status === 410 ? undefined : reply;
    },
    ...(typeof settings.options.list === 'string'
      ? {
          list: (context) => listed(settings.options.list as string, context),
          listBy: (settings.options.listBy ?? []) as readonly string[],
        }
      : {}),
    ...(health === undefined ? {} : { probe: (signal) => probe(health.path, signal) }),
  };

  function send(method: string, id: RecordId, record: JsonRecord, context: WriteContext) {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return services.request(recordUrl(base, id, context), {
      method,
      headers: { accept: 'application/json', ...headers, 'content-type': type },
      body: JSON.stringify(record),
      signal: context.signal,
    });
  }

  /** Page after page, as the `Link` field says [RFC8288], until there is no next one. */
  async function* listed(path: string, context: ListContext): AsyncGenerator<JsonRecord> {
    let next: URL | undefined = originPath(base, path, {});
    for (const [name, value] of Object.entries(context.where)) {
      next.searchParams.set(name, String(value));
    }
    for (let page = 0; next !== undefined && page < LIST_PAGES_MAX; page += 1) {
      const url: URL = next;
      const reply = await services.request(url, {
        headers: { accept: 'application/json', ...headers },
        signal: context.signal,
      });
      if (reply.status !== 200)
        throw Object.assign(new Error(`the list answered ${reply.status}`), {
          status: reply.status,
        });
      yield* rowsOf(JSON.parse(decoder.decode(reply.body)), settings.options.items, url);
      next = nextPage(reply.headers.get('link'), url);
    }
  }

  async function probe(path: string, signal: AbortSignal): Promise<void> {
    const reply = await services.request(new URL(path, base), {
      headers: { accept: 'application/json', ...headers },
      signal,
    });
    if (reply.status >= 400) throw new Error(`the health check answered ${reply.status}`);
  }
}

const LIST_PAGES_MAX = 1_000;
const decoder = new TextDecoder();

/** The array in a page of a list; `items` says where: `$.data.flights`. */
function rowsOf(page: unknown, items: unknown, url: URL): readonly JsonRecord[] {
  const steps = typeof items === 'string' ? items.replace(/^\$\.?/, '').split('.') : [];
  let rows = page;
  for (const step of steps.filter((each) => each !== '')) {
    rows = typeof rows === 'object' && rows !== null ? Reflect.get(rows, step) : undefined;
  }
  if (Array.isArray(rows)) return rows as readonly JsonRecord[];
  const where = steps.length === 0 ? 'the answer' : String(items);
  throw new Error(`${url.pathname}: ${where} is no array of records; set items: to its place`);
}

/** The target of `rel="next"`, on the same server only. */
function nextPage(link: string | undefined, from: URL): URL | undefined {
  const target = /<([^<>]*)>\s*;[^,]*\brel="?next\b/i.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, from.href)) return undefined;
  const next = new URL(target, from);
  return next.origin === from.origin ? next : undefined;
}

/** The `url` of the settings, checked. */
export function baseUrl(settings: KindSettings): URL {
  const { url } = settings;
  if (url === undefined || !URL.canParse(url)) {
    throw new Error(`origin ${settings.name} needs an url, such as https://api.example.com`);
  }
  const base = new URL(url);
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new Error(
      `origin ${settings.name}: url must begin with http:// or https://, not ${base.protocol}`,
    );
  }
  return base;
}

function recordUrl(base: URL, id: RecordId, binding: TableBinding): URL {
  const values = { id, [binding.primaryKey]: id };
  return originPath(base, binding.path ?? '/{id}', values);
}

/** A table of files takes whatever is there. */
const accepted = ({ takesBytes }: TableBinding): string =>
  takesBytes === true ? '*/*' : 'application/json';

/** What it is to be, and for whom. */
function wishes(context: GetContext): Record<string, string> {
  const { requestId } = context;
  const accept = accepted(context);
  return requestId === undefined ? { accept } : { accept, 'x-request-id': requestId };
}

/** Validators of the entry that is being replaced. [RFC9110 §13.1.2, §13.1.3] */
function conditions(context: GetContext): Record<string, string> {
  const { replacing } = context;
  if (replacing?.entityTag !== undefined) return { 'if-none-match': replacing.entityTag };
  if (replacing?.lastModified === undefined) return {};
  return { 'if-modified-since': new Date(replacing.lastModified).toUTCString() };
}
