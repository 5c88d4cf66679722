/**
 * From one message of somebody's stream to a feed event, by the places which the settings name.
 * Public, for the kinds: a stream of any transport maps its messages the same way.
 */
import type { RecordId } from '../base/brands.ts';
import { valueAt } from '../config/json-path.ts';
import type { FeedEventRule, FeedSettings } from '../config/origin-file.ts';
import type { FeedEvent, FeedWrite } from './feed-events.ts';

/** Where the parts of an event stand in a message. */
export type FeedMapping = Pick<FeedSettings, 'id' | 'value' | 'event' | 'group'>;

export interface StreamMessage {
  /** The message's own name: the `event` of an event stream. */
  readonly name: string;
  /** The parsed JSON, or the text when it is no JSON. */
  readonly content: unknown;
  readonly position: string | undefined;
}

/**
 * The event in a message; `undefined` when the rules ignore it. A list becomes one transaction.
 * What lacks an id or a usable value comes out as it is, and is rejected by the feed's runner.
 */
export function feedEventOf(mapping: FeedMapping, message: StreamMessage): FeedEvent | undefined {
  const { content, position } = message;
  const items: readonly unknown[] = Array.isArray(content) ? content : [content];
  const writes = items.flatMap((item) => writeOf(mapping, message.name, item) ?? []);
  const [only] = writes;
  if (only === undefined) return undefined;
  return writes.length === 1 ? { ...only, position } : { type: 'transaction', writes, position };
}

function writeOf(mapping: FeedMapping, name: string, item: unknown): FeedWrite | undefined {
  const type = typeOf(mapping.event, name, item);
  if (type === 'ignore') return undefined;
  const id = valueAt(item, mapping.id);
  const group = mapping.group === undefined ? undefined : valueAt(item, mapping.group);
  const value = valueAt(item, mapping.value);
  // The runner checks every event before it is applied: nothing here vouches for the types.
  return {
    type,
    ...(isId(id) ? { id } : {}),
    ...(typeof group === 'string' ? { group } : {}),
    ...(type === 'delete' || type === 'invalidate' ? {} : { value }),
  } as FeedWrite;
}

const isId = (id: unknown): id is RecordId => typeof id === 'string' || typeof id === 'number';

function typeOf(rule: FeedEventRule, name: string, item: unknown): string {
  if (rule.kind === 'fixed') return rule.event;
  const word = rule.from === 'name' ? name : valueAt(item, rule.from);
  const key = String(word);
  return (Object.hasOwn(rule.map, key) ? rule.map[key] : undefined) ?? key;
}
