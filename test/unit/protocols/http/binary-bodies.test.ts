/** CBOR and MessagePack bodies: what they become, and what hostile ones cost. */
import { Encoder, Tag } from 'cbor-x';
import fc from 'fast-check';
import { Packr, pack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../../src/base/errors.ts';
import { decodeCbor, encodeCbor } from '../../../../src/protocols/http/cbor.ts';
import { decodeMsgpack, encodeMsgpack } from '../../../../src/protocols/http/msgpack.ts';

const DEPTH = 64;
const cbor = new Encoder({ useRecords: false });

const codeOf = (fn: () => unknown): string => {
  try {
    return `decoded ${JSON.stringify(fn())}`;
  } catch (error) {
    return error instanceof NodeError ? error.code : String(error);
  }
};
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const nested = (open: number, levels: number, last: number) =>
  Buffer.concat([Buffer.alloc(levels, open), Buffer.of(last)]);

describe.each([
  ['CBOR', encodeCbor, decodeCbor],
  ['MessagePack', encodeMsgpack, decodeMsgpack],
] as const)('%s', (_name, encode, decode) => {
  it('gives back every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const json: unknown = JSON.parse(JSON.stringify(value));
        const key = JSON.stringify(json);
        // Both libraries rename the one property which could reach a prototype.
        fc.pre(!key.includes('__proto__'));
        expect(decode(encode(json), { depthMax: DEPTH })).toEqual(json);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses or reads random bytes, and throws nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(codeOf(() => decode(bytes, { depthMax: DEPTH }))).toMatch(
          /^(BODY_MALFORMED|decoded )/,
        );
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses a body cut at any place', () => {
    const whole = encode({ a: [1, 2.5, 'text', { b: null }], c: 'x'.repeat(300), d: -70_000 });
    for (let end = 0; end < whole.length; end += 1) {
      expect(codeOf(() => decode(whole.subarray(0, end), { depthMax: DEPTH }))).toBe(
        'BODY_MALFORMED',
      );
    }
  });

  it('refuses a value that is followed by another', () => {
    const twice = Buffer.concat([encode({ a: 1 }), encode({ a: 1 })]);
    expect(codeOf(() => decode(twice, { depthMax: DEPTH }))).toBe('BODY_MALFORMED');
  });
});

describe('what a few bytes may cost', () => {
  it.each([
    ['CBOR nested too deeply', () => decodeCbor(nested(0x81, 65, 0x01), { depthMax: DEPTH })],
    ['CBOR nested without ends', () => decodeCbor(nested(0x9f, 10_000, 0x01), { depthMax: DEPTH })],
    ['CBOR of tags in a row', () => decodeCbor(nested(0xc1, 10_000, 0x01), { depthMax: DEPTH })],
    ['a CBOR array of 30 million', () => decodeCbor(hex('9a 01c9c380 01'), { depthMax: DEPTH })],
    ['a CBOR text of 4 GB', () => decodeCbor(hex('7a ffffffff 61'), { depthMax: DEPTH })],
    [
      'CBOR with shared references',
      () => decodeCbor(cbor.encode(new Tag([1], 28)), { depthMax: DEPTH }),
    ],
    ['CBOR with packed values', () => decodeCbor(hex('d833 82 81 01 81 e0'), { depthMax: DEPTH })],
    ['CBOR with a regular expression', () => decodeCbor(cbor.encode(/a+/), { depthMax: DEPTH })],
    [
      'MessagePack nested too deeply',
      () => decodeMsgpack(nested(0x91, 65, 0x01), { depthMax: DEPTH }),
    ],
    [
      'MessagePack arrays of 30 million in one another',
      () =>
        decodeMsgpack(Buffer.concat(Array.from({ length: 60 }, () => hex('dd 01c9c380'))), {
          depthMax: DEPTH,
        }),
    ],
    [
      'a MessagePack record definition',
      () => decodeMsgpack(new Packr({ useRecords: true }).pack({ a: 1 }), { depthMax: DEPTH }),
    ],
    [
      'a MessagePack typed array',
      () =>
        decodeMsgpack(new Packr({ moreTypes: true }).pack(new Float32Array(2)), {
          depthMax: DEPTH,
        }),
    ],
  ])('refuses %s', (_name, decode) => {
    expect(codeOf(decode)).toBe('BODY_MALFORMED');
  });

  it('allows exactly the depth that JSON bodies have', () => {
    expect(codeOf(() => decodeCbor(nested(0x81, 64, 0x01), { depthMax: DEPTH }))).toMatch(
      /^decoded/,
    );
    expect(codeOf(() => decodeMsgpack(nested(0x91, 64, 0x01), { depthMax: DEPTH }))).toMatch(
      /^decoded/,
    );
  });
});

describe('values that JSON does not have', () => {
  const value = { at: new Date(0), bytes: Buffer.from('hi'), big: 2n ** 60n, left: undefined };
  const plain = { at: '1970-01-01T00:00:00.000Z', bytes: 'aGk=', big: '1152921504606846976' };

  it('become text: dates ISO 8601, bytes base64, large integers decimal', () => {
    expect(decodeCbor(cbor.encode(value), { depthMax: DEPTH })).toEqual({ ...plain });
    expect(
      decodeMsgpack(pack({ at: value.at, bytes: value.bytes, big: value.big }), {
        depthMax: DEPTH,
      }),
    ).toEqual(plain);
  });

  it('are refused when there is no text for them', () => {
    expect(codeOf(() => decodeCbor(cbor.encode({ a: Number.NaN }), { depthMax: DEPTH }))).toBe(
      'BODY_MALFORMED',
    );
    expect(codeOf(() => decodeMsgpack(pack({ a: Infinity }), { depthMax: DEPTH }))).toBe(
      'BODY_MALFORMED',
    );
  });
});
