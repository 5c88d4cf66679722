/**
 * Reason codes of MQTT 5.0 [MQTT5 §2.4] by name, and what an error of ours means as one. Total: a
 * new code does not compile until it has been said here.
 */
import type { ErrorCode } from '../../base/errors.ts';

export const REASON = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  sharedSubscriptionsNotSupported: 0x9e,
} as const;

export type Reason = (typeof REASON)[keyof typeof REASON];

export const REASONS: Record<ErrorCode, Reason> = {
  ACCESS_CHANGED: REASON.administrativeAction,
  ACCESS_DENIED: REASON.notAuthorized,
  ADDRESS_REFUSED: REASON.notAuthorized,
  APPLICATION_INVALID: REASON.implementationSpecific,
  AUTHENTICATION_REQUIRED: REASON.notAuthorized,
  BACKUP_INVALID: REASON.serverUnavailable,
  BODY_MALFORMED: REASON.payloadFormatInvalid,
  BODY_TOO_LARGE: REASON.packetTooLarge,
  BODY_ON_ITS_WAY: REASON.serverBusy,
  BREAKER_OPEN: REASON.serverBusy,
  CATCHING_UP: REASON.serverUnavailable,
  CLOCK_AHEAD: REASON.serverUnavailable,
  NAME_TAKEN: REASON.serverUnavailable,
  CONFIG_INVALID: REASON.implementationSpecific,
  CONTENT_TYPE_UNSUPPORTED: REASON.payloadFormatInvalid,
  DATA_FOLDER_LOCKED: REASON.serverUnavailable,
  DATA_FOLDER_TOO_NEW: REASON.serverUnavailable,
  DEADLINE_EXCEEDED: REASON.serverBusy,
  DISCONNECTED: REASON.administrativeAction,
  ENTRY_UNDECODABLE: REASON.unspecified,
  HEADERS_TOO_LARGE: REASON.packetTooLarge,
  HOST_REFUSED: REASON.notAuthorized,
  INDEX_BUILDING: REASON.serverBusy,
  INTERNAL: REASON.unspecified,
  KEY_INVALID: REASON.topicNameInvalid,
  KEY_TOO_LONG: REASON.topicNameInvalid,
  LENGTH_REQUIRED: REASON.malformedPacket,
  METHOD_NOT_ALLOWED: REASON.implementationSpecific,
  NOT_ACCEPTABLE: REASON.payloadFormatInvalid,
  NOT_CACHED: REASON.serverBusy,
  NOT_FOUND: REASON.topicNameInvalid,
  OPERATION_UNKNOWN: REASON.implementationSpecific,
  ORIGIN_BODY_INVALID: REASON.unspecified,
  ORIGIN_BODY_TOO_LARGE: REASON.unspecified,
  ORIGIN_BUSY: REASON.serverBusy,
  ORIGIN_FAILED: REASON.serverBusy,
  ORIGIN_REFUSED: REASON.implementationSpecific,
  ORIGIN_STATUS: REASON.serverBusy,
  ORIGIN_TIMED_OUT: REASON.serverBusy,
  ORIGIN_UNREACHABLE: REASON.serverBusy,
  OVERLOADED: REASON.serverBusy,
  PEERS_UNCONFIRMED: REASON.serverBusy,
  PEER_INVALID: REASON.serverBusy,
  PEER_REFUSED: REASON.serverBusy,
  PEER_UNREACHABLE: REASON.serverBusy,
  PORT_IN_USE: REASON.serverUnavailable,
  POSITION_UNKNOWN: REASON.quotaExceeded,
  PRECONDITION_FAILED: REASON.implementationSpecific,
  QUERY_INVALID: REASON.topicFilterInvalid,
  QUERY_TOO_EXPENSIVE: REASON.quotaExceeded,
  RECORD_EXISTS: REASON.implementationSpecific,
  RECORD_INVALID: REASON.payloadFormatInvalid,
  REQUEST_MALFORMED: REASON.malformedPacket,
  RESOURCE_REFUSED: REASON.implementationSpecific,
  SCHEMA_INVALID: REASON.implementationSpecific,
  SHUTTING_DOWN: REASON.serverShuttingDown,
  SIGN_IN_BUSY: REASON.serverBusy,
  SIGN_IN_THROTTLED: REASON.serverBusy,
  STORE_FAILED: REASON.unspecified,
  STORE_FULL: REASON.quotaExceeded,
  SUBSCRIPTION_LIMIT: REASON.quotaExceeded,
  TABLE_UNKNOWN: REASON.topicNameInvalid,
  TOO_MANY_REQUESTS: REASON.serverBusy,
  TOO_MANY_WAITERS: REASON.serverBusy,
  URL_TOO_LONG: REASON.topicNameInvalid,
  USAGE: REASON.implementationSpecific,
  WRITE_QUEUE_FULL: REASON.serverBusy,
};

/** What may stand in a PUBACK, PUBREC or SUBACK [MQTT5 §3.4.2.1, §3.5.2.1, §3.9.3]. */
const IN_ANSWERS: ReadonlySet<Reason> = new Set<Reason>([
  ...[REASON.success, REASON.noMatchingSubscribers, REASON.unspecified, REASON.notAuthorized],
  ...[REASON.implementationSpecific, REASON.topicNameInvalid, REASON.packetIdentifierInUse],
  ...[REASON.quotaExceeded, REASON.payloadFormatInvalid],
]);

/** A reason as an answer may carry it: those of connections have a nearest one. */
export function ackReason(reason: Reason): Reason {
  if (IN_ANSWERS.has(reason)) return reason;
  if (reason === REASON.serverBusy) return REASON.quotaExceeded;
  return reason === REASON.packetTooLarge ? REASON.implementationSpecific : REASON.unspecified;
}

/** What a client of 3.1.1 is told instead, in CONNACK [MQTT-3.2.2 table 3.1]. */
export function returnCode(reason: Reason): number {
  switch (reason) {
    case REASON.success:
      return 0;
    case REASON.unsupportedProtocolVersion:
      return 1;
    case REASON.clientIdentifierNotValid:
      return 2;
    case REASON.badUserNameOrPassword:
      return 4;
    case REASON.notAuthorized:
      return 5;
    default:
      return 3;
  }
}
