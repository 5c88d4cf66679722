/**
 * A query as it may be asked by somebody who does not see everything: refused when it names what
 * they may not read, otherwise bound to the rows in which all that it looks at can be seen. So a
 * condition or an order never tells of a value that would not be shown.
 */
import type { TableDefinition } from '../../schema/definition.ts';
import type { Field, Filter, Query, Selection } from './query.ts';
import { allOf, type RowView } from './row-view.ts';
import { signatureOf } from './signature.ts';

/** `undefined`: the whole table is seen. */
export type ViewOf = (definition: TableDefinition) => RowView | 'none' | undefined;

export type Restricted =
  | { readonly kind: 'restricted'; readonly query: Query }
  /** `attribute` is absent when nothing of the table may be read. */
  | {
      readonly kind: 'refused';
      readonly definition: TableDefinition;
      readonly attribute?: string | undefined;
    };

/** The parts of a query that name something. */
export type Naming = Pick<Query, 'filter' | 'sort' | 'select'>;

interface Names {
  /** What conditions, orders and links look at. */
  readonly tested: Set<string>;
  readonly selected: Set<string>;
}

type Usage = Map<TableDefinition, Names>;

/** `root` is the table of the query, `query` not yet bound to anything. */
export function restrictQuery(root: TableDefinition, query: Query, viewOf: ViewOf): Restricted {
  const views = viewsFor(root, query, viewOf);
  if ('refused' in views) return { kind: 'refused', ...views.refused };
  if (views.size === 0) return { kind: 'restricted', query };
  const granted = views.get(root)?.filter;
  const filter = granted === undefined ? query.filter : bound(granted, query.filter);
  // The order of rows depends on the client's own words only, so a cursor stays good.
  const signature = signatureOf(query.filter, query.sort);
  return { kind: 'restricted', query: { ...query, filter, signature, views } };
}

export interface Refused {
  readonly refused: {
    readonly definition: TableDefinition;
    readonly attribute?: string | undefined;
  };
}

/** The views by which the parts of a query may be answered; empty when all is seen whole. */
export function viewsFor(
  root: TableDefinition,
  naming: Naming,
  viewOf: ViewOf,
): Map<TableDefinition, RowView> | Refused {
  const usage: Usage = new Map();
  namesIn(usage, root);
  if (naming.filter !== undefined) useFilter(usage, root, naming.filter);
  for (const { field } of naming.sort) useField(usage, root, field);
  for (const each of naming.select?.selections ?? []) useSelection(usage, root, each);
  const views = new Map<TableDefinition, RowView>();
  for (const [definition, names] of usage) {
    const view = viewOf(definition);
    if (view === undefined) continue;
    if (view === 'none') return { refused: { definition } };
    const unseen = [...names.tested, ...names.selected].find((name) => !view.mayName(name));
    const among = unseen === undefined ? view.among(names.tested) : undefined;
    if (among === undefined) {
      const attribute = unseen ?? [...names.tested].join(' and ');
      return { refused: { definition, attribute } };
    }
    views.set(definition, among);
  }
  return views;
}

/** The grant's conditions first: what they leave out is not looked at any further. */
function bound(granted: Filter, asked: Filter | undefined): Filter | undefined {
  return allOf(asked === undefined ? [granted] : [granted, asked]);
}

function namesIn(usage: Usage, definition: TableDefinition): Names {
  let names = usage.get(definition);
  if (names === undefined) {
    names = { tested: new Set(), selected: new Set() };
    usage.set(definition, names);
  }
  return names;
}

function useFilter(usage: Usage, definition: TableDefinition, filter: Filter): void {
  if (filter.kind === 'condition') useField(usage, definition, filter.field);
  else for (const each of filter.filters) useFilter(usage, definition, each);
}

function useField(usage: Usage, definition: TableDefinition, { path, joined }: Field): void {
  const { tested } = namesIn(usage, definition);
  tested.add(path[0] ?? '');
  if (joined === undefined) return;
  const { here, there, target } = joined.relation;
  tested.add(here.path[0] ?? '');
  namesIn(usage, target.definition).tested.add(there.path[0] ?? '');
  useField(usage, target.definition, joined.field);
}

/** What every record has is nobody's attribute. */
const SPECIAL: ReadonlySet<string> = new Set(['$id', '$entitytag']);

function useSelection(
  usage: Usage,
  definition: TableDefinition,
  { name, nested, relation }: Selection,
): void {
  if (SPECIAL.has(name)) return;
  const { selected } = namesIn(usage, definition);
  selected.add(name);
  if (relation === undefined) return;
  const { here, there, target } = relation;
  selected.add(here.path[0] ?? '');
  namesIn(usage, target.definition).tested.add(there.path[0] ?? '');
  for (const each of nested ?? []) useSelection(usage, target.definition, each);
}
