/** A change in the log: the short form of what another node sent, and that of older programs. */
import { describe, expect, it } from 'vitest';
import { epochMs, nodeId, recordVersion, sequence, tableName } from '../../../src/base/brands.ts';
import { decodeChange, encodeChange } from '../../../src/store/change-format.ts';
import { packPlain } from '../../../src/store/entry-format.ts';
import type { Change, Relay } from '../../../src/table/store-port.ts';

const AT = sequence(9);
const change = (relay?: Relay): Change => ({
  ...{ sequence: AT, version: recordVersion(5), author: nodeId(7), at: epochMs(1) },
  ...{ table: tableName('Item'), op: 'put', id: 'a' },
  ...(relay && { relay }),
});
const origin = { sequence: sequence(3), after: sequence(2) };

describe('the place of a change in the log of its author', () => {
  it.each([
    [undefined],
    [{ origin }],
    [{ origin: null }],
    [{ origin, isQuiet: true }],
    [{ origin, isJoined: true }],
    [{ isLocal: true }],
    [{ isClients: true }],
    [{ origin, scope: { kind: 'key', id: 'a' }, soft: false, reason: 'purge' }],
  ] as const)('is read as it was written: %o', (relay) => {
    const bytes = encodeChange(change(relay), false);
    expect(decodeChange(AT, bytes).relay).toEqual(relay);
  });

  it('takes a few bytes when there is nothing more to say', () => {
    const [short, long] = [{ origin }, { origin, isQuiet: true }].map(
      (relay) => encodeChange(change(relay), false).length,
    );
    expect(short).toBeLessThan((long ?? 0) - 30);
  });

  it('is read as older programs wrote it', () => {
    const bytes = packPlain([5, 7, 1, 'Item', 'put', 'a', 0, null, null, null, { origin }]);
    expect(decodeChange(AT, bytes).relay).toEqual({ origin });
  });
});
