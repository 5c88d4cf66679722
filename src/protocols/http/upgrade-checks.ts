/**
 * What an opening handshake must be before any protocol is asked about it (RFC 6455 §4.2.1), and
 * whether the page it comes from may open it. uWS upgrades on the key alone, so the checks are made
 * here for both engines.
 */
import type { Refusal } from './framing.ts';

/** 16 bytes in base64: what RFC 6455 §4.1 wants as a key. */
const keySyntax = /^[A-Za-z0-9+/]{22}==$/;

export interface UpgradeRequest {
  readonly method: string;
  header(name: string): string | undefined;
}

/** `header` names WebSocket as a protocol to upgrade to. */
export function wantsWebSocket(upgrade: string | undefined): boolean {
  return upgrade !== undefined && listHas(upgrade, 'websocket');
}

/**
 * Returns why the handshake is refused; `undefined` when it is sound. Without `allowedOrigins`
 * somebody else judges where it comes from.
 */
export function refusedUpgrade(
  request: UpgradeRequest,
  allowedOrigins: readonly string[] | undefined,
): Refusal | undefined {
  if (request.method !== 'GET') return malformed('a WebSocket is opened by GET');
  if (!wantsWebSocket(request.header('upgrade'))) {
    return malformed('the Upgrade field must be websocket');
  }
  if (!listHas(request.header('connection') ?? '', 'upgrade')) {
    return malformed('the Connection field must name upgrade');
  }
  if (request.header('sec-websocket-version') !== '13') {
    // [RFC6455 §4.4]
    const headers = ['sec-websocket-version', '13'];
    const detail = 'only version 13 of the WebSocket protocol is spoken here';
    return { code: 'REQUEST_MALFORMED', status: 426, detail, headers };
  }
  if (!keySyntax.test(request.header('sec-websocket-key') ?? '')) {
    return malformed('the Sec-WebSocket-Key field is not a key');
  }
  if (allowedOrigins === undefined) return undefined;
  if (!isAllowedOrigin(request.header('origin'), request.header('host'), allowedOrigins)) {
    const detail =
      'pages of this origin may open no WebSocket here: list it in http.allowedOrigins';
    return { code: 'ACCESS_DENIED', detail };
  }
  return undefined;
}

/**
 * Browsers let any page open a WebSocket to any host with the user's cookies, so the Origin is the
 * only fence. Programs send none, and are allowed.
 */
export function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const page = new URL(origin);
  return page.host !== '' && page.host === hostWithoutDefaultPort(host ?? '', page.protocol);
}

/** Subprotocols which the client offers, in its order. */
export function offeredProtocols(field: string | undefined): string[] {
  if (field === undefined) return [];
  return field
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function hostWithoutDefaultPort(host: string, scheme: string): string {
  const port = scheme === 'https:' ? ':443' : ':80';
  const lower = host.toLowerCase();
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
}

function listHas(field: string, word: string): boolean {
  return field.split(',').some((item) => item.trim().toLowerCase() === word);
}

function malformed(detail: string): Refusal {
  return { code: 'REQUEST_MALFORMED', detail };
}
