/**
 * What somebody is told who may not: what, and what to do about it, in the same words on every
 * protocol. It says nothing that the request did not say already: not whether a user or a record
 * exists, nor who else may.
 */
import { NodeError } from './errors.ts';

/** Finishes "sign in with …". Short: some MQTT clients misread a SUBACK with 128 bytes of text. */
export const HOW_TO_SIGN_IN = 'a password, or a token or API key as Bearer';

export interface Barred {
  /** What was to be done, and with what: `update`, `a of Item`. */
  readonly verb: string;
  readonly what: string;
  /** What opens it to everybody, where something does. */
  readonly opener?: string | undefined;
}

/** `unauthenticated`: signing in might help; `denied`: it would have to be as somebody else. */
export function refusal(verdict: 'unauthenticated' | 'denied', barred: Barred): NodeError {
  const { verb, what, opener } = barred;
  const blame = 'client';
  if (verdict === 'unauthenticated') {
    const open = opener === undefined ? '' : `; ${opener} opens it to everybody`;
    const cure = `sign in with ${HOW_TO_SIGN_IN}${open}`;
    const message = `anonymous clients may not ${verb} ${what}: ${cure}`;
    return new NodeError('AUTHENTICATION_REQUIRED', message, { blame });
  }
  const denied = `your role may not ${verb} ${what}`;
  const cure = 'sign in as somebody who may, or have a grant added to the role (roles.yaml)';
  return new NodeError('ACCESS_DENIED', `${denied}: ${cure}`, { blame, details: { denied } });
}

/** For credentials that are not taken; which part of them is wrong would serve an attacker. */
export function unknownCredentials(): NodeError {
  const message =
    'these credentials are not known here: check the name and the password or key, and that they ' +
    `were not withdrawn; what is taken is ${HOW_TO_SIGN_IN}`;
  return new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' });
}

/** What was denied, in words for a log: the message without its cure. */
export const deniedOf = ({ details, message }: NodeError): string =>
  typeof details.denied === 'string' ? details.denied : message;
