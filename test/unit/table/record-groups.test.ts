/** Names of record groups: what is written is read back, whatever the key holds. */
import { describe, expect, it } from 'vitest';
import { recordVersion } from '../../../src/base/brands.ts';
import {
  formatCacheGroups,
  groupScope,
  NO_RECORD,
  parseRecordGroup,
  recordGroup,
  tableGroup,
} from '../../../src/table/record-groups.ts';

const KEYS = [
  'AA100',
  'news/1',
  'a;v=5',
  'a%3Bb',
  'say "no"',
  'back\\slash',
  'Zürich',
  '🛫',
  ' ',
  '\n',
];
const version = recordVersion(3_721_000_123_456_789);

describe('names of record groups', () => {
  it.each(KEYS)('read back the key %j, with a version and without', (id) => {
    const bare = recordGroup('Flight', id);
    const dated = recordGroup('Flight', id, version);
    expect(parseRecordGroup(bare)).toEqual({ table: 'Flight', id, version: undefined });
    expect(parseRecordGroup(dated)).toEqual({ table: 'Flight', id, version });
    expect(dated).toMatch(/^[\x21-\x7e]+$/);
  });

  it('are the same group whatever their version', () => {
    for (const id of KEYS) {
      expect(groupScope(recordGroup('Flight', id, version))).toBe(recordGroup('Flight', id));
      expect(groupScope(recordGroup('Flight', id))).toBe(recordGroup('Flight', id));
    }
    expect(groupScope(tableGroup('Flight', version))).toBe('Flight');
    expect(groupScope('plain')).toBe('plain');
    expect(groupScope('odd;v=x')).toBe('odd;v=x');
  });

  it('stand for numbers, for all records of a table, and for no record', () => {
    expect(recordGroup('Order', 7)).toBe('Order/7');
    expect(parseRecordGroup(tableGroup('Order', version))).toEqual({
      ...{ table: 'Order', id: undefined, version },
    });
    expect(recordGroup('Order', 8, NO_RECORD)).toBe('Order/8;v=0');
  });

  it.each(['', '/x', 'Flight/', 'two words', 'a-b/c', 'Flight/a;w=1', 'Flight/%E0', 'T;v='])(
    'are not read into %j',
    (text) => expect(parseRecordGroup(text)).toBeUndefined(),
  );

  it('are written as a list of strings [RFC9875 §2]', () => {
    expect(formatCacheGroups(['Flight/a', 'say "no"'])).toBe('"Flight/a", "say \\"no\\""');
  });
});
