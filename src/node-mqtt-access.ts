/**
 * MQTT's question of who signs in and what they may do, put to the one authoriser. What a grant
 * limits is held against each record: one that is outside of it is not told of, one that leaves it
 * is told of as deleted, and of the others the attributes are shown that may be seen.
 */
import { askingWith } from './access/asking.ts';
import { type Authenticator, FOR_GOOD, type Standing } from './access/authenticate.ts';
import { accessTo } from './access/authorise.ts';
import type { Access } from './access/grants.ts';
import type { Principal } from './access/principal.ts';
import type { RefusalLog } from './access/refusal-log.ts';
import type { RowAccess } from './access/row-access.ts';
import { StandingWatch } from './access/standing-watch.ts';
import { createWriteGuard } from './access/write-guard.ts';
import type { RecordId } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { type MqttCode, NO_CODE } from './node-mqtt-code.ts';
import type { MqttPacing } from './node-mqtt-guard.ts';
import type { Guest, SignIn } from './protocols/mqtt/access.ts';
import type { CodeAt } from './protocols/mqtt/code-topic.ts';
import type { Message } from './protocols/mqtt/message.ts';
import type { TableDefinition, Verb } from './schema/definition.ts';
import type { Row } from './table/query/query.ts';
import { maskedRow } from './table/query/row-view.ts';
import { parseRow } from './table/query/rows.ts';

export interface SignInParts {
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly onRejected: (method: string) => void;
  readonly pacing: MqttPacing;
  readonly refusals: RefusalLog;
  readonly code: MqttCode;
}

export function mqttSignIn(parts: SignInParts): SignIn {
  const { authenticator, clock, onRejected, pacing } = parts;
  const watch = new StandingWatch(clock);
  return async (credentials) => {
    const asking = askingWith(credentials);
    const early = pacing.signIn(asking);
    if (early !== undefined) return { refused: early };
    await authenticator.settle(asking);
    const found = authenticator.authenticate(asking);
    if (found.kind === 'rejected') {
      onRejected(found.method);
      return { refused: found.error };
    }
    const { standing } = found;
    const guestAs = (principal: Principal): Guest => {
      const pace: Guest['pace'] = (verb) => pacing.ask(verb, principal, asking);
      const denied = (what: string) => {
        if (principal.kind === 'anonymous') return;
        const { name: by } = principal;
        parts.refusals.add({ by, address: asking.remoteAddress, protocol: 'mqtt', what });
      };
      const { remoteAddress } = asking;
      const codeAt: CodeAt = (filter) => parts.code.at(filter, { principal, remoteAddress });
      const { code } = parts;
      const asOfNow = () => asStanding(guest, standing, guestAs);
      const common = { standing, watch, pace, denied, codeAt, code, asOfNow };
      const guest = mqttGuest(principal, common);
      return guest;
    };
    return { guest: guestAs(found.principal) };
  };
}

/** Whose rights have changed is somebody else by now. */
function asStanding(
  guest: Guest,
  standing: Standing,
  guestAs: (principal: Principal) => Guest,
): Guest | undefined {
  const state = standing.state();
  if (state === 'holds') return guest;
  const principal = state === 'gone' ? undefined : standing.renewed();
  return principal && guestAs(principal);
}

export interface GuestParts {
  readonly standing?: Standing | undefined;
  readonly watch?: StandingWatch | undefined;
  readonly pace?: Guest['pace'] | undefined;
  readonly denied?: Guest['denied'] | undefined;
  readonly codeAt?: CodeAt | undefined;
  readonly asOfNow?: Guest['asOfNow'] | undefined;
  readonly code?: Pick<MqttCode, 'judgesReaders'> | undefined;
}

export function mqttGuest(principal: Principal, parts: GuestParts = {}): Guest {
  const { standing = FOR_GOOD, watch, code = NO_CODE } = parts;
  const { pace = () => undefined, denied = () => undefined, codeAt = () => undefined } = parts;
  const access = (table: TableDefinition, verb: Verb): Access =>
    verb === 'subscribe' && principal.kind !== 'admin' && code.judgesReaders(table)
      ? { kind: 'none' }
      : accessTo(principal, table, verb);
  const guest: Guest = {
    name: principal.kind === 'anonymous' ? '' : principal.name,
    verified: standing.verified,
    may(verb, table, id) {
      const found = access(table, verb);
      if (found.kind !== 'limited') return found.kind === 'whole';
      return verb === 'subscribe' ? found.rows.coversKey(id) : coversMessage(found.rows, id);
    },
    guard: (table) =>
      WRITES.every((verb) => access(table, verb).kind === 'whole')
        ? undefined
        : createWriteGuard(principal, table),
    maySubscribe: (tables) =>
      [...tables].some((table) => access(table, 'subscribe').kind !== 'none'),
    maySeeSystem: () => principal.kind === 'admin',
    seen(message) {
      const found = access(message.parts.table, 'subscribe');
      if (found.kind !== 'limited') return found.kind === 'whole' ? message : undefined;
      return message.view(found.rows.key, () => limited(message, found.rows));
    },
    watch(connection) {
      watch?.add(connection, standing);
      return () => watch?.delete(connection);
    },
    asOfNow: parts.asOfNow ?? (() => guest),
    pace,
    denied,
    codeAt,
  };
  return guest;
}

const WRITES = ['insert', 'update', 'delete'] as const;

/** A message is no row: only what is granted of a key says anything of it. */
const coversMessage = (rows: RowAccess, id: Message['parts']['id']): boolean =>
  rows.permits.some((permit) => permit.isOfKeysOnly && permit.coversKey(id));

function limited(message: Message, rows: RowAccess): Message | undefined {
  const { id, payload, isState, before } = message.parts;
  if (coversMessage(rows, id)) return message;
  if (!isState || !rows.coversKey(id)) return undefined;
  const row = parseRow(payload);
  if (payload.length === 0 || !rows.covers(row, id)) {
    // That it is gone is told to those only who are known to have seen it.
    return before && rows.covers(parseRow(before), id) ? message.withPayload(GONE) : undefined;
  }
  const shown = shownOf(rows, row, id);
  if (shown === undefined) return message;
  // That something changed which may not be read is nothing to tell of.
  const former = before && parseRow(before);
  if (former && rows.covers(former, id) && shownOf(rows, former, id) === shown) return undefined;
  return message.withPayload(encoder.encode(shown));
}

/** JSON of what is shown of a row; `undefined`: all of it. */
function shownOf(rows: RowAccess, row: Row, id: RecordId): string | undefined {
  const mask = rows.maskOf(row, id);
  return mask && JSON.stringify(maskedRow(row, mask));
}

const GONE = new Uint8Array(0);
const encoder = new TextEncoder();
