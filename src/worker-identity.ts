/**
 * Who is asking, on one thread: the authenticator over this thread's view of the store, and the
 * sign-in desk, which is the store thread's own or reached by messages. A worker never sees a
 * password hash being made; it sends what it was shown and is told whose it is.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Audit } from './access/audit.ts';
import type { AdminCredentials, Authenticator } from './access/authenticate.ts';
import { AuditLog } from './access/identity/audit-log.ts';
import { createAuthenticator } from './access/identity/authenticator.ts';
import type { CertificateStatus } from './access/identity/certificate-status.ts';
import { Directory } from './access/identity/directory.ts';
import { type ConfiguredAdmin, Identities } from './access/identity/identities.ts';
import { Issuers } from './access/identity/issuers.ts';
import { Registry } from './access/identity/registry.ts';
import type { SignIns } from './access/identity/sign-ins.ts';
import { createImpersonate, type Impersonate, withImpersonation } from './access/impersonate.ts';
import { SignInLog } from './access/sign-in-log.ts';
import type { Clock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import type { IssuerSettings } from './config/auth-settings.ts';
import type { Config } from './config/config.ts';
import type { Roles } from './config/roles-file.ts';
import { auditTo } from './observe/audit-log.ts';
import type { Log } from './observe/log.ts';
import { createAddressGuard } from './origin/address-guard.ts';
import { createAgent } from './origin/agent.ts';
import { createHttpClient } from './origin/http-client.ts';
import { nodeErrorOf, type PlainError, plainError } from './store/threads/messages.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import { openCertificateStatus } from './worker-ocsp.ts';

/** The administrator of the configuration, as every thread knows it. */
export type KnownAdmin = (AdminCredentials & ConfiguredAdmin) | undefined;

export interface ThreadIdentityParts {
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  /** Number of the thread: part of the keys of what it notes. */
  readonly thread: number;
  readonly signIns: SignIns;
  readonly admin: KnownAdmin;
  readonly roles: Roles;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the protocols of one thread know of those who ask. */
export interface ThreadIdentity {
  readonly authenticator: Authenticator;
  readonly directory: Directory;
  readonly identities: Identities;
  readonly signIns: SignIns;
  /** Remembers an event, and says it in the log. */
  readonly impersonate: Impersonate;
  readonly audit: Audit;
  readonly auditLog: AuditLog;
  readonly signInLog: SignInLog;
  /** Of client certificates, where OCSP is asked. */
  readonly certificateStatus: CertificateStatus | undefined;
}

export function threadIdentity(parts: ThreadIdentityParts): ThreadIdentity {
  const { clock, config, signIns } = parts;
  const directory = new Directory(parts.reader);
  const registry = new Registry(parts.writer, clock);
  const auditLog = new AuditLog({ registry, directory, clock, thread: parts.thread });
  const say = auditTo(parts.log);
  const audit: Audit = (event) => {
    if (auditLog.record(event)) say(event);
  };
  const identities = new Identities({ ...parts, directory });
  const issuers = new Issuers(config.auth.issuers, (one) => fetchKeys(one, parts.log), clock);
  const { certificates } = config.auth;
  const certificateStatus = openCertificateStatus(config, clock, parts.log);
  const signInLog = new SignInLog(audit, () => clock.now());
  const own = createAuthenticator({
    ...{ signInLog },
    ...{ identities, directory, signIns, issuers, certificates, certificateStatus },
    mayTakeCertificatesBack: certificateStatus !== undefined || config.tls?.clientCrl !== undefined,
  });
  const impersonate = createImpersonate({
    roles: () => identities.roles(),
    userNamed: (name) => identities.named(name),
    audit,
  });
  const authenticator = withImpersonation(own, impersonate);
  return {
    ...{ authenticator, directory, identities, signIns, impersonate, audit, auditLog },
    ...{ certificateStatus, signInLog },
  };
}

const KEYS_BYTES_MAX = 256 * 1024;
const FETCH_MS = 5_000;

/** The keys of an issuer, by the guarded client that origins are asked with. */
async function fetchKeys(issuer: IssuerSettings, log: Log): Promise<unknown> {
  const name = `issuer ${issuer.name}`;
  const agent = createAgent({
    guard: createAddressGuard(name, issuer.allowPrivate),
    connections: 1,
    connectTimeoutMs: FETCH_MS,
    headersTimeoutMs: FETCH_MS,
    bodyTimeoutMs: FETCH_MS,
    headBytesMax: 16 * 1024,
  });
  const client = createHttpClient({
    ...{ name, agent, bodyMax: KEYS_BYTES_MAX, redirectsMax: 0 },
    decompressionRatioMax: 100,
    decompressionFloorBytes: KEYS_BYTES_MAX,
    onBytes: () => undefined,
  });
  try {
    const signal = AbortSignal.timeout(FETCH_MS);
    const reply = await client.request(new URL(issuer.keys), { signal });
    if (reply.status !== 200) throw new NodeError('ORIGIN_STATUS', `status ${reply.status}`);
    return JSON.parse(new TextDecoder().decode(reply.body));
  } catch (error) {
    log.warn({ issuer: issuer.name, error: String(error) }, 'the keys of an issuer did not come');
    throw error;
  } finally {
    void client.close();
  }
}

// Over messages ------------------------------------------------------------------------------

type Call = {
  readonly [Name in keyof SignIns]: {
    readonly id: number;
    readonly name: Name;
    readonly argument: Parameters<SignIns[Name]>[0];
  };
}[keyof SignIns];

type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: PlainError; readonly details: object };

/** The store thread's side. */
export function serveSignIns(signIns: SignIns, port: MessagePort): void {
  port.on('message', ({ id, name, argument }: Call) => {
    const run = signIns[name] as (argument: unknown) => Promise<unknown>;
    run(argument).then(
      (result) => port.postMessage({ id, result } satisfies Reply),
      (error: unknown) => {
        const details = error instanceof NodeError ? error.details : {};
        port.postMessage({ id, error: plainError(error), details } satisfies Reply);
      },
    );
  });
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: NodeError): void;
}

/** The worker's side. */
export function connectSignIns(port: MessagePort): SignIns {
  const waiting = new Map<number, Waiting>();
  let calls = 0;
  port.on('message', (reply: Reply) => {
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('error' in reply) {
      const { message, code, blame, retry } = nodeErrorOf(reply.error);
      const { details } = reply as { details: Readonly<Record<string, unknown>> };
      call?.reject(new NodeError(code, message, { blame, retry, details }));
    } else call?.resolve(reply.result);
  });
  const ask =
    (name: keyof SignIns) =>
    (argument: unknown): Promise<never> => {
      calls += 1;
      const id = calls;
      port.postMessage({ id, name, argument });
      return new Promise((resolve, reject) =>
        waiting.set(id, { resolve: resolve as Waiting['resolve'], reject }),
      );
    };
  return {
    password: ask('password'),
    startSession: ask('startSession'),
    endSession: ask('endSession'),
    tokens: ask('tokens'),
    refresh: ask('refresh'),
  };
}
