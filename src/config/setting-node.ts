/**
 * A written value with the place where it stands. YAML files, directive arguments, flags and
 * environment variables all become such nodes, so that one set of readers checks them all and every
 * problem can be pointed at.
 */
import type { SourcePlace } from '../schema/definition.ts';

export type Scalar = string | number | boolean | null;

export type SettingNode =
  | {
      readonly kind: 'scalar';
      readonly value: Scalar;
      /** As written: the token `007` is text, whatever number YAML makes of it. */
      readonly source?: string | undefined;
      readonly place: SourcePlace;
    }
  | { readonly kind: 'list'; readonly items: readonly SettingNode[]; readonly place: SourcePlace }
  | {
      readonly kind: 'map';
      readonly entries: ReadonlyMap<string, SettingEntry>;
      readonly place: SourcePlace;
    };

export interface SettingEntry {
  readonly key: SourcePlace;
  readonly value: SettingNode;
}

/** Plain data (of a directive) as nodes which all stand at `place`. */
export function nodeOf(value: unknown, place: SourcePlace): SettingNode {
  if (Array.isArray(value)) {
    return { kind: 'list', items: value.map((each) => nodeOf(each, place)), place };
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([key, each]) => [key, { key: place, value: nodeOf(each, place) }] as const,
    );
    return { kind: 'map', entries: new Map(entries), place };
  }
  const isScalar = ['string', 'number', 'boolean'].includes(typeof value);
  return { kind: 'scalar', value: isScalar ? (value as Scalar) : null, place };
}

/**
 * A node as problems show it: what came from a variable stands there by the variable's name, since
 * variables are where secrets come from.
 */
export function shownOf(node: SettingNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.source?.includes('${') === true ? node.source : node.value;
    case 'list':
      return node.items.map(shownOf);
    case 'map':
      return Object.fromEntries(
        [...node.entries].map(([key, entry]) => [key, shownOf(entry.value)]),
      );
  }
}

/** A node as plain data; objects have no prototype. */
export function plainOf(node: SettingNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plainOf);
    case 'map': {
      const object: Record<string, unknown> = Object.create(null);
      for (const [key, entry] of node.entries) object[key] = plainOf(entry.value);
      return object;
    }
  }
}
