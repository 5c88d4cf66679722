/**
 * The change log as other nodes read it: each change with its place in its author's log, and what
 * travels of it. Rows are not in it: they are read when they are sent.
 */
import { sequence, type TableName } from '../../base/brands.ts';
import type { LogEntry, Origin } from '../../replication/ports.ts';
import type { Change } from '../../table/store-port.ts';
import type { TableMode } from './tables.ts';

export function logEntry(change: Change, modes: ReadonlyMap<TableName, TableMode>): LogEntry {
  const { sequence: at, table, id, op, version } = change;
  const origin = originOf(change);
  const { relay } = change;
  if (relay?.isLocal === true) {
    return { sequence: at, origin, ...NOTHING, isJoined: relay.isJoined };
  }
  const mode = modes.get(table);
  if (mode === 'rows' && id !== undefined && op !== 'message' && op !== 'invalidate') {
    // Written out for nearly all there is.
    return { sequence: at, origin, kind: 'row', table, id, version, isJoined: relay?.isJoined };
  }
  const place = { sequence: at, origin };
  return { ...place, ...(mode === undefined ? NOTHING : whatTravels(change, mode)) };
}

const NOTHING = { kind: 'none' } as const;

function originOf({ author, sequence: at, relay }: Change): Origin | undefined {
  if (relay?.origin === null) return undefined;
  const { sequence: place, after } = relay?.origin ?? { sequence: at, after: sequence(at - 1) };
  return { author, sequence: place, after };
}

function whatTravels(change: Change, mode: TableMode) {
  const { table, id, op, version, relay } = change;
  if (op === 'message') return messageOf(change);
  if (op === 'invalidate') {
    if (relay?.scope === undefined) return NOTHING;
    const { scope, soft = false, reason = 'invalidate' } = relay;
    return { kind: 'invalidation', table, scope, soft, reason, version } as const;
  }
  if (id === undefined || mode === 'rows') return NOTHING;
  if (relay?.isClients !== true) {
    return mode === 'entries' ? ({ kind: 'entry', table, id } as const) : NOTHING;
  }
  const scope = { kind: 'key', id } as const;
  return {
    kind: 'invalidation',
    table,
    scope,
    soft: false,
    reason: 'invalidate',
    version,
  } as const;
}

function messageOf({ table, id, after, version, publication }: Change) {
  if (id === undefined || after === undefined) return NOTHING;
  const properties = publication?.properties;
  const message = { kind: 'message', table, id, body: after, version } as const;
  return properties === undefined ? message : { ...message, publication: properties };
}
