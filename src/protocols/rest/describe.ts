/** `GET /<name>`: what the table is, for whoever may read it. Hidden attributes are left out. */
import { type RestCall, unstoredHeaders } from './rest-call.ts';

export function describeTable(call: RestCall): void {
  const { exchange, resource } = call;
  const { definition } = resource.table;
  const body = {
    name: definition.export?.name,
    type: definition.typeName,
    database: definition.database,
    primaryKey: definition.primaryKey,
    sealed: definition.sealed,
    description: definition.description,
    attributes: definition.attributes
      .filter((attribute) => !attribute.hidden)
      .map(({ name, type, list, required, indexed, description }) => ({
        name,
        type: typeof type === 'string' ? type : type.object,
        list,
        required,
        indexed,
        description,
      })),
    collection: `/${definition.export?.name ?? ''}/`,
  };
  exchange.reply(
    200,
    ['content-type', 'application/json', ...unstoredHeaders(call)],
    JSON.stringify(body),
  );
}
