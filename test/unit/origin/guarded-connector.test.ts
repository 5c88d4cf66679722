/** What a resolver answers, judged address by address. */
import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { createAddressGuard } from '../../../src/origin/address-guard.ts';
import { guardedConnector, guardedLookup } from '../../../src/origin/guarded-connector.ts';

const guard = createAddressGuard('o', false);

function look(answers: readonly string[], all: boolean): Promise<unknown> {
  const addresses: LookupAddress[] = answers.map((address) => ({ address, family: 4 }));
  const lookup = guardedLookup(guard, 80, (_, __, callback) => callback(null, addresses));
  return new Promise((resolve) => {
    lookup('rebind.example', { all }, (error, address) => resolve(error ?? address));
  });
}

describe('a resolver under the guard', () => {
  it('yields the public ones of several addresses', async () => {
    expect(await look(['10.0.0.1', '8.8.8.8'], true)).toEqual([{ address: '8.8.8.8', family: 4 }]);
    expect(await look(['10.0.0.1', '8.8.8.8'], false)).toBe('8.8.8.8');
  });

  it('is refused when every address is private', async () => {
    expect(await look(['10.0.0.1', '127.0.0.1'], true)).toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('passes a failure to resolve on', async () => {
    const failure = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    const lookup = guardedLookup(guard, 80, (_, __, callback) => callback(failure, []));
    const error = await new Promise((resolve) => lookup('nowhere', {}, resolve));
    expect(error).toBe(failure);
  });
});

describe('a connection under the guard', () => {
  it('is cut when the socket turns out to lead inside, whatever was resolved', async () => {
    let destroyed = false;
    const socket = { remoteAddress: '127.0.0.1', destroy: () => (destroyed = true) };
    const build = () => (_: unknown, callback: (error: null, socket: unknown) => void) =>
      callback(null, socket);
    const connect = guardedConnector(build as never, guard, 1_000);
    const target = { hostname: 'rebind.example', port: '80', protocol: 'http:' };
    const error = await new Promise((resolve) =>
      connect(target, (...outcome) => resolve(outcome[0])),
    );
    expect(error).toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(destroyed).toBe(true);
  });
});
