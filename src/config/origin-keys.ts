/**
 * The keys of `origins/NAME.yaml` that mean something to some kinds only, each with its reader and
 * the kinds it belongs to. A kind finds them in its `options`, read and of the type told here.
 */
import { anything, type OriginKindName } from './origin-feed.ts';
import {
  duration,
  flag,
  listOf,
  nonEmpty,
  oneOf,
  type Reader,
  reject,
  scalar,
  shape,
  textThat,
} from './readers.ts';

interface KindKey {
  readonly kinds: readonly OriginKindName[];
  readonly read: Reader<unknown>;
}

/** SQL may go over several lines. */
const statement = textThat('an SQL statement', (written) => /^[^\0]*\S[^\0]*$/.test(written));
const qos: Reader<number> = scalar('0, 1 or 2', (value) =>
  value === 0 || value === 1 || value === 2 ? value : undefined,
);
const mqttVersion: Reader<string> = scalar('3.1.1 or 5', (value) =>
  ['3.1.1', '5'].find((version) => version === String(value)),
);
const topicFilter = textThat('a topic such as sensors/{id}/state', (written) =>
  /^[^\s\0][^\r\n\0]*$/.test(written),
);
/** `true` for statements that are made from the table, or the statements themselves. */
const writes: Reader<unknown> = (node, path, problems) => {
  if (node.kind === 'scalar') return flag(node, path, problems);
  return shape({ put: statement, patch: statement, delete: statement })(node, path, problems);
};

/** What lists all records: a path, a statement, or `true` for all rows of the table. */
const list: Reader<string | true> = (node, path, problems) =>
  node.kind === 'scalar' && node.value === true ? true : statement(node, path, problems);

/** A column that marks deleted rows, or `false`: rows are never deleted. */
const deleted: Reader<string | false> = (node, path, problems) => {
  if (node.kind === 'scalar' && node.value === false) return false;
  if (node.kind === 'scalar' && node.value === true) {
    return reject(node, path, 'the name of a column, or false', problems);
  }
  return nonEmpty(node, path, problems);
};

const changes = shape({
  channel: nonEmpty,
  poll: nonEmpty,
  every: duration,
  overlap: duration,
  deleted,
});

export const KIND_KEYS: Readonly<Record<string, KindKey>> = {
  list: { kinds: ['http', 'postgres'], read: list },
  listBy: { kinds: ['http'], read: listOf(nonEmpty) },
  items: { kinds: ['http'], read: nonEmpty },
  table: { kinds: ['postgres'], read: nonEmpty },
  key: { kinds: ['postgres'], read: nonEmpty },
  query: { kinds: ['postgres'], read: statement },
  version: { kinds: ['postgres'], read: nonEmpty },
  write: { kinds: ['postgres'], read: writes },
  changes: { kinds: ['postgres'], read: changes },
  topic: { kinds: ['mqtt'], read: topicFilter },
  topics: { kinds: ['mqtt'], read: listOf(topicFilter) },
  qos: { kinds: ['mqtt'], read: qos },
  protocol: { kinds: ['mqtt'], read: mqttVersion },
  publish: { kinds: ['mqtt', 'nats'], read: topicFilter },
  retain: { kinds: ['mqtt'], read: flag },
  keepAlive: { kinds: ['mqtt'], read: duration },
  clientId: { kinds: ['mqtt'], read: nonEmpty },
  username: { kinds: ['mqtt', 'nats'], read: nonEmpty },
  password: { kinds: ['mqtt', 'nats'], read: nonEmpty },
  idle: { kinds: ['sse', 'websocket', 'millrace'], read: duration },
  follow: { kinds: ['millrace'], read: flag },
  freshness: { kinds: ['millrace'], read: oneOf(['inherited', 'live']) },
  send: { kinds: ['websocket'], read: anything },
  subject: { kinds: ['nats'], read: nonEmpty },
  subjects: { kinds: ['nats'], read: listOf(nonEmpty) },
  stream: { kinds: ['nats'], read: nonEmpty },
};
