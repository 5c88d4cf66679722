/**
 * `GET /<name>`: what the table is, for whoever may read it. Hidden attributes are left out, and
 * those which they may not read.
 */
import { type RestCall, unstoredHeaders, viewsOf } from './rest-call.ts';

export function describeTable(call: RestCall): void {
  const { exchange, resource } = call;
  const { definition } = resource.table;
  const view = viewsOf(call)(definition);
  const isSeen = (name: string): boolean =>
    view === undefined || (view !== 'none' && view.mayName(name));
  const body = {
    name: definition.export?.name,
    type: definition.typeName,
    database: definition.database,
    primaryKey: definition.primaryKey,
    sealed: definition.sealed,
    description: definition.description,
    attributes: definition.attributes
      .filter(({ hidden, name }) => !hidden && isSeen(name))
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
