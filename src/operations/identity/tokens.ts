/**
 * Tokens and sessions by operation. `create_authentication_tokens` and `login` are for everybody:
 * they are how one signs in. Whoever has signed in may refresh, look and sign out; taking back what
 * others hold is the administrator's.
 */
import { clearCookie, setCookie } from '../../access/identity/session-cookie.ts';
import { REVOKED_MS } from '../../access/identity/sign-ins.ts';
import { SYSTEM } from '../../access/identity/system-tables.ts';
import { tokenForm, tokenId } from '../../access/identity/token-form.ts';
import { OWN_ISSUER } from '../../access/identity/tokens.ts';
import { NodeError } from '../../base/errors.ts';
import { type Arguments, type Operation, type OperationContext, usage } from '../operation.ts';
import { nameArgument, textArgument } from './arguments.ts';
import { changed } from './changes.ts';
import { newMark } from './users.ts';

const credentials = (args: Arguments, { address }: OperationContext) => ({
  username: textArgument(args, 'username'),
  password: textArgument(args, 'password'),
  address,
});

export const createTokens: Operation = {
  name: 'create_authentication_tokens',
  takes: ['username', 'password'],
  needs: 'nothing',
  run: (args, context) => context.identity.signIns.tokens(credentials(args, context)),
};

/** The token is in the document, or in the `Authorization` field as in the field's API. */
export const refreshToken: Operation = {
  name: 'refresh_operation_token',
  takes: ['refresh_token'],
  needs: 'nothing',
  run(args, { identity, authorization, address }) {
    const [, shown] = /^bearer\s+(\S+)$/i.exec(authorization ?? '') ?? [];
    const token = args.refresh_token === undefined ? shown : textArgument(args, 'refresh_token');
    if (token === undefined) throw usage('refresh_token: the token, here or as Bearer credentials');
    return identity.signIns.refresh({ value: token, address });
  },
};

/** One token, until it would have expired; what was opened with it ends. */
export const revokeToken: Operation = {
  name: 'revoke_token',
  takes: ['token', 'id'],
  async run(args, context) {
    const { registry, now } = context.identity;
    const id = args.id === undefined ? idOf(textArgument(args, 'token')) : textArgument(args, 'id');
    const revokedAt = now();
    await registry.put(SYSTEM.revocation, { id, revokedAt, expiresAt: revokedAt + REVOKED_MS });
    changed(context, 'revoked', `token ${id}`);
    return { message: `token ${id} is revoked`, id };
  },
};

function idOf(token: string): string {
  const form = tokenForm(token);
  const id = form?.issuer === OWN_ISSUER ? tokenId(token) : undefined;
  if (id !== undefined) return id;
  throw usage('token: a whole token of this node; of another issuer give id, as NAME:jti');
}

/** Every token, session and remembered password of a user; the password stays what it is. */
export const revokeUser: Operation = {
  name: 'revoke_user_tokens',
  takes: ['username'],
  async run(args, context) {
    const { registry, directory, now } = context.identity;
    const name = nameArgument(args, 'username');
    await registry.exclusive(async () => {
      const row = directory.user(name);
      if (row === undefined) {
        const message = `there is no user ${JSON.stringify(name)}`;
        throw new NodeError('NOT_FOUND', message, { blame: 'client' });
      }
      await registry.put(SYSTEM.user, { ...row, mark: newMark(), updatedAt: now() });
    });
    changed(context, 'revoked', `tokens and sessions of user ${name}`);
    return { message: `whatever ${name} had signed in with is worth nothing any more` };
  },
};

export const rotateSigningKey: Operation = {
  name: 'rotate_signing_key',
  takes: [],
  async run(_, context) {
    const { id } = await context.identity.issuer.rotate();
    changed(context, 'rotated', `signing key, now ${id}`);
    return { message: 'tokens are signed with a new key; those issued before stay good', id };
  },
};

export const login: Operation = {
  name: 'login',
  takes: ['username', 'password'],
  needs: 'nothing',
  async run(args, context) {
    const session = await context.identity.signIns.startSession(credentials(args, context));
    const seconds = Math.floor((session.expiresAt - context.identity.now()) / 1_000);
    context.setCookie(setCookie(session.value, seconds));
    return { message: 'login successful', username: session.username, seconds };
  },
};

export const logout: Operation = {
  name: 'logout',
  takes: [],
  needs: 'nothing',
  async run(_, context) {
    const { session: value, address, identity } = context;
    if (value !== undefined) await identity.signIns.endSession({ value, address });
    context.setCookie(clearCookie());
    return { message: 'logout successful' };
  },
};
