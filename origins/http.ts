/**
 * Origin kind `http`: records behind an HTTP API, one URL a record.
 *
 *   kind: http
 *   url: https://api.example.com/v1      # the table's path is appended: /v1/flights/AA100
 *   headers: { authorization: "Bearer ${env.TOKEN}" }
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
        headers: { accept: accepted(context), ...headers, ...conditions(context) },
        signal: context.signal,
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

  async function probe(path: string, signal: AbortSignal): Promise<void> {
    const reply = await services.request(new URL(path, base), {
      headers: { accept: 'application/json', ...headers },
      signal,
    });
    if (reply.status >= 400) throw new Error(`the health check answered ${reply.status}`);
  }
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

/** Validators of the entry that is being replaced. [RFC9110 §13.1.2, §13.1.3] */
function conditions(context: GetContext): Record<string, string> {
  const { replacing } = context;
  if (replacing?.entityTag !== undefined) return { 'if-none-match': replacing.entityTag };
  if (replacing?.lastModified === undefined) return {};
  return { 'if-modified-since': new Date(replacing.lastModified).toUTCString() };
}
