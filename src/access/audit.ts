/**
 * What is worth remembering of who did what: sign-ins, refusals, downgrades, changes of grants,
 * operations and purges. Whoever decides or does one of them tells the port, once, after it is
 * certain; where events are kept and how they are asked for is not decided here. Events carry names
 * and counts, never credentials, bodies or values of records.
 */

interface AuditFacts {
  /** Who it was: the name of a user, key or certificate; `undefined` for anonymous clients. */
  readonly by: string | undefined;
  /** Address of the client, as `remote-address.ts` gives it; `undefined` for the node itself. */
  readonly address?: string | undefined;
  /** By which way it came: `http`, `websocket`, `sse`, `mqtt`, `operations`. */
  readonly protocol?: string | undefined;
}

export type AuditEvent = AuditFacts &
  (
    | { readonly kind: 'signedIn'; readonly method: string }
    | { readonly kind: 'signedOut'; readonly method: string }
    /** Credentials that are not known, or no longer good for anything. */
    | { readonly kind: 'signInRefused'; readonly method: string; readonly reason: string }
    /** Something that the principal was not granted; `what` names verb and table, or operation. */
    | { readonly kind: 'refused'; readonly what: string }
    /** An administrator who acts as a lesser principal; `as` says which. */
    | { readonly kind: 'impersonated'; readonly as: string }
    /** A user, role, key or token was made, changed or taken away; `what` names it. */
    | { readonly kind: 'grantChanged'; readonly change: string; readonly what: string }
    | {
        readonly kind: 'operationRun';
        readonly operation: string;
        readonly table?: string;
        /** `done`, or the code of the error with which it ended. */
        readonly outcome: string;
      }
    | {
        readonly kind: 'purged';
        readonly table: string;
        readonly scope: string;
        readonly soft: boolean;
        readonly count: number;
      }
  );

/**
 * Whether whoever sends requests can cause it without having signed in: such events have room of
 * their own in the log, so that a flood of them pushes nothing else out.
 */
export const isOfStrangers = ({ kind }: AuditEvent): boolean => kind === 'signInRefused';

/** Takes an event; never throws and never waits. */
export type Audit = (event: AuditEvent) => void;

/** For those who keep no audit log. */
export const NO_AUDIT: Audit = () => undefined;
