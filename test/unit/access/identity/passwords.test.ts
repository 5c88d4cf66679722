/** Names and passwords: who is let in, how fast, and what guessing costs. */
import { describe, expect, it } from 'vitest';
import type { Authentication } from '../../../../src/access/authenticate.ts';
import { BackOff, networkOf } from '../../../../src/access/identity/back-off.ts';
import { SYSTEM } from '../../../../src/access/identity/system-tables.ts';
import { durationMs } from '../../../../src/base/brands.ts';
import { asking, basic, openTestIdentity, type TestIdentity } from '../../../support/identity.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const ADMIN = { username: 'ann', password: 'pa:ss wörd' };
const PASSWORD = 'correct horse battery';

async function addUser(identity: TestIdentity, id: string, roles: string[] = []): Promise<void> {
  const row = { id, roles, active: true, mark: `mark of ${id}`, createdAt: 0, updatedAt: 0 };
  const password = await identity.hasher.hash(PASSWORD, '');
  await identity.registry.add(SYSTEM.user, { ...row, password });
}

const codeOf = (answer: Authentication): string =>
  answer.kind === 'rejected' ? answer.error.code : 'principal';

describe('Basic credentials [RFC7617 §2]', () => {
  it('of the administrator make the administrator; colons and UTF-8 are part of a password', async () => {
    const { ask } = openTestIdentity({ admin: ADMIN });
    expect(await ask(basic('ann', 'pa:ss wörd'))).toMatchObject({
      principal: { kind: 'admin', name: 'ann' },
    });
  });

  it.each([
    ['another password', 'Basic YW5uOnBh'],
    ['another name', 'Basic Ym9iOnBhOnNzIHfDtnJk'],
    ['no colon', 'Basic YW5u'],
    ['no base64', 'Basic ***'],
    ['nothing behind the scheme', 'Basic'],
    [
      'a password that is too long',
      `Basic ${Buffer.from(`ann:${'x'.repeat(5_000)}`).toString('base64')}`,
    ],
  ])('with %s are rejected', async (_, authorization) => {
    const { ask } = openTestIdentity({ admin: ADMIN });
    const answer = await ask(asking({ authorization }));
    expect(answer).toMatchObject({ kind: 'rejected', method: 'basic' });
  });

  it('are never right when nobody is known', async () => {
    const { ask } = openTestIdentity();
    expect(codeOf(await ask(basic('', '')))).toBe('AUTHENTICATION_REQUIRED');
  });

  it('of a scheme that is not known are rejected, not ignored', async () => {
    const { ask } = openTestIdentity({ admin: ADMIN });
    expect(await ask(asking({ authorization: 'Negotiate YII=' }))).toMatchObject({
      method: 'other',
    });
  });

  it('that are absent make an anonymous client, at once', () => {
    const { authenticator } = openTestIdentity({ admin: ADMIN });
    expect(authenticator.settle(asking())).toBeUndefined();
    expect(authenticator.authenticate(asking())).toMatchObject({
      principal: { kind: 'anonymous' },
    });
  });

  it('let nobody in whose verifying was not awaited', () => {
    const { authenticator } = openTestIdentity({ admin: ADMIN });
    expect(authenticator.authenticate(basic('ann', ADMIN.password)).kind).toBe('rejected');
  });
});

describe('a user', () => {
  it('is hashed once, and known at once from then on', async () => {
    const identity = openTestIdentity();
    await addUser(identity, 'bob', ['reader']);
    expect(await identity.ask(basic('bob', PASSWORD))).toMatchObject({
      principal: { kind: 'user', name: 'bob', roles: ['reader'] },
    });
    expect(identity.authenticator.settle(basic('bob', PASSWORD))).toBeUndefined();
    expect(identity.outcomes).toHaveLength(1);
  });

  it('is verified once for all requests that bring the same at the same time', async () => {
    const identity = openTestIdentity();
    await addUser(identity, 'bob');
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => identity.ask(basic('bob', PASSWORD))),
    );
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['principal']));
    expect(identity.outcomes).toHaveLength(1);
  });

  it.each([
    ['is dropped', undefined],
    ['is made inactive', { active: false }],
    ['is given another password', { mark: 'another' }],
  ])('is out in the moment it %s, without a look at the clock', async (_, change) => {
    const identity = openTestIdentity();
    await addUser(identity, 'bob');
    const answer = await identity.ask(basic('bob', PASSWORD));
    if (answer.kind !== 'principal') throw new Error('was let in');
    if (change === undefined) await identity.registry.drop(SYSTEM.user, 'bob');
    else {
      const row = identity.directory.user('bob');
      await identity.registry.put(SYSTEM.user, { id: 'bob', ...row, ...change });
    }
    expect(answer.standing.state()).toBe('gone');
    expect(identity.authenticator.settle(basic('bob', PASSWORD))).toBeInstanceOf(Promise);
  });

  it('of other roles is somebody else; of the same roles is the same, whoever else changes', async () => {
    const identity = openTestIdentity();
    await addUser(identity, 'bob', ['reader']);
    await addUser(identity, 'eve');
    const answer = await identity.ask(basic('bob', PASSWORD));
    if (answer.kind !== 'principal') throw new Error('was let in');
    await identity.registry.drop(SYSTEM.user, 'eve');
    expect(answer.standing.state()).toBe('holds');
    const row = identity.directory.user('bob');
    await identity.registry.put(SYSTEM.user, { id: 'bob', ...row, roles: ['editor'] });
    expect(answer.standing.state()).toBe('changed');
    expect(await identity.ask(basic('bob', PASSWORD))).toMatchObject({
      principal: { roles: ['editor'] },
    });
  });
});

describe('guessing', () => {
  it('is slowed down after five failures of a name from an address, ever more', async () => {
    const clock = new ManualClock();
    const identity = openTestIdentity({ admin: ADMIN, clock });
    const guess = async () => codeOf(await identity.ask(basic('ann', 'wrong')));
    for (let tries = 0; tries < 5; tries += 1) {
      expect(await guess()).toBe('AUTHENTICATION_REQUIRED');
    }
    const waits: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      const answer = await identity.ask(basic('ann', 'wrong'));
      if (answer.kind !== 'rejected') throw new Error('was let in');
      expect(answer.error.code).toBe('SIGN_IN_THROTTLED');
      waits.push(answer.error.details.retryAfterSeconds);
      clock.advance(durationMs(Number(answer.error.details.retryAfterSeconds) * 1_000));
      expect(await guess()).toBe('AUTHENTICATION_REQUIRED');
    }
    expect(waits).toEqual([1, 2, 4]);
  });

  it('keeps the right password waiting as well, else the answer would tell', async () => {
    const clock = new ManualClock();
    const identity = openTestIdentity({ admin: ADMIN, clock });
    for (let tries = 0; tries < 5; tries += 1) await identity.ask(basic('ann', `wrong ${tries}`));
    expect(codeOf(await identity.ask(basic('ann', ADMIN.password)))).toBe('SIGN_IN_THROTTLED');
    clock.advance(durationMs(60_000));
    expect(codeOf(await identity.ask(basic('ann', ADMIN.password)))).toBe('principal');
  });

  it('is answered alike for names that exist and that do not', async () => {
    const identity = openTestIdentity({ clock: new ManualClock() });
    await addUser(identity, 'bob');
    const answersFor = async (name: string): Promise<unknown[]> => {
      const answers: unknown[] = [];
      for (let tries = 0; tries < 6; tries += 1) {
        const answer = await identity.ask(basic(name, 'wrong', `198.51.100.${name.length}`));
        if (answer.kind !== 'rejected') throw new Error('was let in');
        const { code, message, details, retry } = answer.error;
        answers.push([answer.method, code, message, details, retry]);
      }
      return answers;
    };
    expect(await answersFor('nobody')).toEqual(await answersFor('bob'));
  });

  it('from many addresses slows newcomers down, not who signed in before', () => {
    const backOff = new BackOff(new ManualClock());
    backOff.succeeded('ann', '203.0.113.7');
    for (let address = 0; address < 110; address += 1)
      backOff.failed('ann', `198.51.100.${address}`);
    expect(backOff.waitMs('ann', '198.51.100.200')).toBeGreaterThan(0);
    expect(backOff.waitMs('ann', '203.0.113.7')).toBe(0);
    expect(backOff.waitMs('bob', '198.51.100.200')).toBe(0);
  });

  it('with many names slows the address down', () => {
    const backOff = new BackOff(new ManualClock());
    for (let name = 0; name < 60; name += 1) backOff.failed(`user${name}`, '198.51.100.1');
    expect(backOff.waitMs('somebody', '198.51.100.1')).toBeGreaterThan(0);
    expect(backOff.waitMs('somebody', '198.51.100.2')).toBe(0);
  });

  it('counts an IPv6 network of 64 bits as one address', () => {
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:0DB8:0:0:ffff::9'));
    expect(networkOf('2001:db8::1')).not.toBe(networkOf('2001:db8:0:1::1'));
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1');
  });
});

describe('a flood of sign-ins', () => {
  it('is turned away beyond a bound, and leaves room for other addresses', async () => {
    const identity = openTestIdentity({ admin: ADMIN });
    const flood = Array.from({ length: 20 }, (_, tries) =>
      identity.ask(basic(`user${tries}`, 'wrong', '198.51.100.1')),
    );
    const honest = identity.ask(basic('ann', ADMIN.password, '203.0.113.7'));
    expect(codeOf(await honest)).toBe('principal');
    const codes = (await Promise.all(flood)).map(codeOf);
    expect(codes.filter((code) => code === 'SIGN_IN_BUSY')).toHaveLength(16);
  });
});
