/** Tokens: what is taken, and that whatever is wrong with one is refused, at once and alike. */
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SYSTEM } from '../../../../src/access/identity/system-tables.ts';
import { tokenForm } from '../../../../src/access/identity/token-form.ts';
import { durationMs } from '../../../../src/base/brands.ts';
import type { IssuerSettings } from '../../../../src/config/auth-settings.ts';
import { bearer, openTestIdentity, type TestIdentity } from '../../../support/identity.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

async function withUser(identity: TestIdentity): Promise<string> {
  const row = { id: 'bob', roles: ['reader'], active: true, mark: 'm', createdAt: 0, updatedAt: 0 };
  await identity.registry.put(SYSTEM.user, row);
  return identity.issuer.issue('operation', { username: 'bob', mark: 'm' });
}

const kindOf = async (identity: TestIdentity, token: string): Promise<string> => {
  const answer = await identity.ask(bearer(token));
  return answer.kind === 'rejected' ? answer.error.code : 'principal';
};

describe('an own token', () => {
  it('lets its user in until it expires', async () => {
    const clock = new ManualClock();
    const identity = openTestIdentity({ clock });
    const token = await withUser(identity);
    expect(await kindOf(identity, token)).toBe('principal');
    clock.advance(durationMs(86_400_000 - 10_000));
    expect(await kindOf(identity, token)).toBe('principal');
    clock.advance(durationMs(20_000));
    expect(await kindOf(identity, token)).toBe('AUTHENTICATION_REQUIRED');
  });

  it('stays good when the key is replaced, and is signed with the new one then', async () => {
    const identity = openTestIdentity();
    const first = await withUser(identity);
    await identity.issuer.rotate();
    const second = await withUser(identity);
    expect(tokenForm(second)?.keyId).not.toBe(tokenForm(first)?.keyId);
    expect(await kindOf(identity, first)).toBe('principal');
    expect(await kindOf(identity, second)).toBe('principal');
  });

  it('is refused in every way in which it can be bent [RFC8725]', async () => {
    const identity = openTestIdentity();
    const token = await withUser(identity);
    const [head = '', body = '', signature = ''] = token.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object;
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
    const [key] = identity.directory.signingKeys();
    const open = createPublicKey({ key: key?.key as never, format: 'jwk' });
    const pem = open.export({ type: 'spki', format: 'pem' });
    const with_ = (changed: object) => `${encode({ ...header, ...changed })}.${body}.${signature}`;
    const own = generateKeyPairSync('ed25519');
    const forged = (changedHeader: object, changedClaims: object | string): string => {
      const claimed =
        typeof changedClaims === 'string' ? changedClaims : { ...claims, ...changedClaims };
      const text = `${encode({ ...header, ...changedHeader })}.${encode(claimed)}`;
      return `${text}.${sign(null, Buffer.from(text), own.privateKey).toString('base64url')}`;
    };
    const hmacHead = encode({ ...header, alg: 'HS256' });
    const hmac = createHmac('sha256', pem).update(`${hmacHead}.${body}`).digest('base64url');
    const twice = JSON.stringify(claims).replace('"sub":"bob"', '"sub":"bob","sub":"admin"');
    const hostile = [
      ...['none', 'None', 'nOnE', 'HS256', 'RS256', 'ES256'].map((alg) => with_({ alg })),
      `${encode({ alg: 'none' })}.${body}.`,
      `${hmacHead}.${body}.${hmac}`,
      ...['../../x', 'https://evil.example/k', '', 'x'.repeat(200)].map((kid) => with_({ kid })),
      with_({ jku: 'https://evil.example/jwks' }),
      with_({ jwk: own.publicKey.export({ format: 'jwk' }) }),
      with_({ x5u: 'https://evil.example/c' }),
      with_({ crit: ['exp'] }),
      forged({}, {}),
      forged({ jwk: own.publicKey.export({ format: 'jwk' }) }, {}),
      forged({}, { sub: 'admin' }),
      forged({}, twice),
      `${head}.${encode({ ...claims, exp: 9e12 })}.${signature}`,
      `${head}.${encode({ ...claims, aud: 'else' })}.${signature}`,
      `${token}x`,
      token.slice(0, -4),
      `${head}.${body}`,
      `${token}.${signature}`,
      `${head}.${body}.${'A'.repeat(86)}`,
      `${head}.${'A'.repeat(100_000)}.${signature}`,
      'a.b.c',
      '..',
      '',
    ];
    for (const one of hostile) {
      expect(await kindOf(identity, one), one.slice(0, 120)).toBe('AUTHENTICATION_REQUIRED');
    }
    expect(await kindOf(identity, token)).toBe('principal');
  });

  it('of a user who is gone, changed or revoked is worth nothing', async () => {
    const identity = openTestIdentity();
    const token = await withUser(identity);
    expect(await kindOf(identity, token)).toBe('principal');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    await identity.registry.put(SYSTEM.revocation, { id: jti as string, expiresAt: 9e12 });
    expect(await kindOf(identity, token)).toBe('AUTHENTICATION_REQUIRED');
  });
});

describe('a token of another issuer', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256' };
  const settings: IssuerSettings = {
    ...{ name: 'corp', issuer: 'https://login.example/', audience: 'millrace' },
    keys: 'https://login.example/jwks',
    algorithms: ['RS256'],
    ...{ username: 'email', roles: 'groups', roleMap: { news: 'reader' }, allowPrivate: false },
  };
  const clock = new ManualClock();
  const made = (changed: object = {}, header: object = {}): string => {
    const now = Math.floor(clock.instant / 1_000);
    const claims = {
      ...{ iss: settings.issuer, aud: 'millrace', exp: now + 60, email: 'eve@corp' },
      groups: ['news', 'admin'],
      ...changed,
    };
    const text = `${encode({ alg: 'RS256', kid: 'k1', ...header })}.${encode(claims)}`;
    return `${text}.${sign('sha256', Buffer.from(text), rsa.privateKey).toString('base64url')}`;
  };

  it('is believed by its word on who it is, and for mapped groups only', async () => {
    let fetched = 0;
    const fetchKeys = async () => {
      fetched += 1;
      return { keys: [jwk] };
    };
    const identity = openTestIdentity({ clock, issuers: [settings], fetchKeys });
    expect(await identity.ask(bearer(made()))).toMatchObject({
      principal: { kind: 'user', name: 'corp:eve@corp', roles: ['reader'] },
    });
    const now = Math.floor(clock.instant / 1_000);
    for (const wrong of [
      made({ aud: 'other' }),
      made({ iss: 'https://evil.example/' }),
      made({ exp: now - 60 }),
      made({ nbf: now + 600 }),
      made({ email: 7 }),
      made({ exp: undefined }),
      made({}, { alg: 'RS512' }),
      ...Array.from({ length: 20 }, (_, index) => made({}, { kid: `unknown${index}` })),
    ]) {
      expect(await kindOf(identity, wrong)).toBe('AUTHENTICATION_REQUIRED');
    }
    // However many keys are named that nobody knows, they are not fetched for each.
    expect(fetched).toBe(1);
  });
});
