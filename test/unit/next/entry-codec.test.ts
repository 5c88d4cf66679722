/** Entries of Next.js survive being bytes; what is no entry is nothing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntry, encodeEntry } from '../../../src/next/entry-codec.ts';

describe('an entry as bytes', () => {
  it('comes back with its buffers, and maps of them', () => {
    const entry = {
      kind: 'APP_PAGE',
      html: '<p>é</p>',
      rscData: Buffer.from([0, 255, 10]),
      segmentData: new Map([
        ['/_tree', Buffer.from('one')],
        ['/_full', Buffer.from('two')],
      ]),
      headers: { 'x-next-cache-tags': 'a,b' },
      list: [null, { deep: Buffer.from('x') }],
    };
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  it('keeps whatever JSON can say, however it is named', () => {
    const plain = fc.jsonValue().map((value) => ({ value }));
    fc.assert(
      fc.property(plain, (entry) => {
        const json = JSON.parse(JSON.stringify(entry)) as unknown;
        expect(decodeEntry(encodeEntry(entry))).toEqual(json);
      }),
    );
  });

  it('is nothing when it was cut, or is something else', () => {
    const bytes = encodeEntry({ body: Buffer.from('0123456789') });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeEntry(bytes.subarray(0, length))).toBeUndefined();
    }
    expect(decodeEntry(Buffer.from('{"value":1}'))).toBeUndefined();
  });
});
