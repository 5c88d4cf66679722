/**
 * The public types as an application sees them, with the `millrace-env.d.ts` that is generated for
 * its schema. Checked by `npm run types`: each line under `@ts-expect-error` has to be refused, and
 * the test fails to compile when it is not.
 */
import {
  type ApplicationTable,
  type Context,
  defineOrigin,
  defineOriginKind,
  definePolicy,
  getContext,
  type RecordId,
  RequestTarget,
  Resource,
  server,
  tables,
  transaction,
} from 'millrace';
import type { Note } from '../fixtures/resource-app/millrace-env.d.ts';

/** Compiles only when `value` is a `T`. */
const is = <T>(_value: T): void => undefined;

/** Compiled, never run. */
export async function tablesAreTyped(): Promise<void> {
  const { Note: notes } = tables;
  is<ApplicationTable<Note>>(notes);
  const made = await notes.create({ text: 'x', n: 1 });
  is<string>(made.id);
  is<string | null | undefined>(made.text);
  is<boolean>(await notes.delete('x'));
  is<RecordId>(await notes.post({ text: 'x' }));
  notes.setComputedAttribute('shout', (record) => record.text?.toUpperCase());
  for await (const event of notes.subscribe({ id: 'x' })) is<string>(event.position);
  is<unknown[]>(await notes.search({ select: ['id', { name: 'by', select: ['name'] }] }).toArray());

  // @ts-expect-error: n is a number.
  await notes.create({ n: 'many' });
  // @ts-expect-error: a record has no such method.
  await notes.destroy('x');
  // @ts-expect-error: there is no such comparator.
  notes.search({ conditions: [{ attribute: 'n', comparator: 'about', value: 1 }] });
  // @ts-expect-error: an order names its attribute.
  notes.search({ sort: { descending: true } });
  // @ts-expect-error: there is one operator for all conditions of a group.
  notes.search({ operator: 'xor' });
  // @ts-expect-error: a filter says so at once.
  notes.search({ rowFilter: async () => true });
  // @ts-expect-error: a computed attribute is made from the record.
  notes.setComputedAttribute('shout', (record: number) => record);
}

export class Hello extends Resource {
  static override public = ['read'] as const;
  static override get(target: RequestTarget, context?: Context) {
    is<RecordId | undefined>(target.id);
    is<string | null>(target.get('name'));
    is<Readonly<Record<string, string>>>(target.params);
    is<string | undefined>(context?.user?.username);
    return { status: 200, headers: {}, data: { greeting: 'hello' } };
  }
}

// @ts-expect-error: nobody may be allowed to do that.
export class Wrong extends Resource {
  static override public = ['reed'] as const;
}

export function sourcesAreTyped(): void {
  tables.Rate.sourcedFrom({
    get(id, context) {
      is<RecordId>(id);
      is<number | undefined>(context.replacingVersion);
      context.expiresAt = Date.now() + 1_000;
      // @ts-expect-error: instants are numbers.
      context.expiresAt = 'soon';
      return { value: 1 };
    },
  });
  // @ts-expect-error: a source needs get.
  tables.Rate.sourcedFrom({ put: () => undefined });
  // @ts-expect-error: lifetimes are seconds.
  tables.Rate.sourcedFrom({ get: () => undefined }, { expiration: '60s' });
}

export function originsAreTyped(): void {
  defineOrigin({
    get(id, context) {
      context.freshUntil = new Date();
      return { id, n: 1 };
    },
  });
  // @ts-expect-error: get is all that is needed, and needed.
  defineOrigin({ list: async () => [] });
  // @ts-expect-error: a record is an object.
  defineOrigin({ get: () => 7 });
  defineOriginKind({
    name: 'own',
    open: (settings, services) => ({ get: () => ({ by: services.name, at: settings.url }) }),
  });
  // @ts-expect-error: a kind has a name.
  defineOriginKind({ open: () => ({ get: () => undefined }) });
  definePolicy({ freshness: { jitter: 0 }, hooks: { storable: ({ status }) => status === 200 } });
  // @ts-expect-error: there is no such section.
  definePolicy({ freshnes: {} });
}

export async function theNodeIsTyped(): Promise<void> {
  is<number>(await transaction(() => 1));
  is<string>(await transaction(getContext(), async ({ timestamp }) => String(timestamp)));
  // @ts-expect-error: a transaction runs a function.
  await transaction('now');
  server.http(async (request, next) => {
    is<string>(request.pathname);
    return next(request);
  });
  // @ts-expect-error: a path is text.
  server.http((request, next) => next(request), { urlPath: /x/ });
  is<string>(server.hostname);
  // @ts-expect-error: what the node was configured with stays as it is.
  server.config = {};
  // @ts-expect-error: what a target is for is not said by a number.
  new RequestTarget({ path: 7 });
}
