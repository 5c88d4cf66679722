/**
 * The stored form of entries against golden files: a store written by an older program must stay
 * readable, so these bytes may only change together with the format version.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  durationMs,
  entityTag,
  epochMs,
  nodeId,
  recordVersion,
  sequence,
} from '../../../src/base/brands.ts';
import { FOREVER, NEVER } from '../../../src/cache/entry.ts';
import { mergingMeta, stateOfEntry } from '../../../src/cache/row-entry.ts';
import {
  AT,
  type DraftFacts,
  type DraftTail,
  encodeEntry,
  HEADER_BYTES,
  unpackPlain,
} from '../../../src/store/entry-format.ts';
import { EntryView } from '../../../src/store/entry-view.ts';

type Draft = DraftFacts & DraftTail;

const base: Draft = {
  kind: 'record',
  status: 200,
  version: recordVersion(3_584_000_000_000_123),
  author: nodeId(0xa1b2c3d4e5f6),
  stamp: sequence(42),
  storedAt: epochMs(1_750_000_000_001),
  initialAge: durationMs(1_500),
  freshUntil: epochMs(1_750_000_060_001),
  staleWhileRevalidateUntil: epochMs(1_750_000_660_001),
  staleIfErrorUntil: NEVER,
  evictAt: FOREVER,
  mustValidate: false,
  staleForbidden: false,
  keyHashed: false,
  entityTag: entityTag('"0123456789abcdef"'),
  meta: {},
  body: { kind: 'inline', bytes: Buffer.from('{"id":"AA100","gate":"B7"}') },
};

const drafts: Readonly<Record<string, Draft>> = {
  record: base,
  merged: {
    ...base,
    meta: {
      merging: {
        base: [recordVersion(3_584_000_000_000_100), nodeId(9), 0],
        times: [recordVersion(3_584_000_000_000_122), nodeId(9)],
        touched: {
          gate: [1, [recordVersion(3_584_000_000_000_123), nodeId(0xa1b2c3d4e5f6), 0], null],
          gone: [2, [recordVersion(3_584_000_000_000_121), nodeId(9), 1], null],
          bags: [-1, [], [4, [nodeId(9), -3, recordVersion(3_584_000_000_000_120)]]],
        },
      },
      indexed: { gate: ['B7', null, true, 7] },
    },
  },
  page: {
    ...base,
    ...{ status: 404, kind: 'negative', mustValidate: true, staleForbidden: true },
    keyHashed: true,
    meta: {
      contentType: 'text/html; charset=utf-8',
      lastModified: epochMs(1_749_999_999_000),
      originTag: entityTag('W/"v1"'),
      groups: ['news', 'sport'],
      headers: [['content-language', 'en']],
      fullKey: '/news/1',
      variant: { 'accept-language': 'en' },
    },
  },
  tombstone: {
    ...base,
    ...{ kind: 'tombstone', status: 410, entityTag: undefined, stamp: sequence(43) },
    body: { kind: 'inline', bytes: new Uint8Array(0) },
  },
  referenced: { ...base, body: { kind: 'referenced', bodyId: 77, length: 70_000 } },
};

const golden = (name: string): Buffer => {
  const file = new URL(`../../fixtures/store-entries/${name}.hex`, import.meta.url);
  return Buffer.from(readFileSync(file, 'utf8').replaceAll(/\s/g, ''), 'hex');
};

const viewOf = (bytes: Uint8Array): EntryView => {
  const view = new EntryView((_id, whole) => whole.fill(7));
  expect(view.attach('k', bytes)).toBe(true);
  return view;
};

describe('the stored form of an entry', () => {
  it.each(Object.keys(drafts))('is the golden one of a %s, byte by byte', (name) => {
    const draft = drafts[name] ?? base;
    expect(Buffer.from(encodeEntry(draft, draft)).toString('hex')).toBe(
      golden(name).toString('hex'),
    );
  });

  it.each(Object.keys(drafts))('gives back every fact of a golden %s', (name) => {
    const { body, keyHashed, entityTag: tag, ...facts } = drafts[name] ?? base;
    const view = viewOf(golden(name));
    expect(view).toMatchObject({ ...facts, keyHashed, entityTag: tag ?? '' });
    expect(view.lastModified).toBe(facts.meta.lastModified ?? 1_750_000_000_000);
    if (body.kind === 'inline') expect(Buffer.compare(view.body, body.bytes)).toBe(0);
    else if (body.kind === 'referenced')
      expect([view.bodyId, view.body.length]).toEqual([body.bodyId, body.length]);
  });

  it('of a patched record by an older program is that of one put whole by its last write', () => {
    const { version, author } = base;
    const view = viewOf(golden('patched'));
    const { base: put, touched } = stateOfEntry(view);
    expect([put, touched]).toEqual([{ version, author, kind: 'put' }, undefined]);
    expect(view.meta.indexed).toEqual({ gate: ['B7', null, true, 7] });
  });

  it('holds every state of a row, and gives it back as it was', () => {
    const state = stateOfEntry(viewOf(golden('merged')));
    expect(mergingMeta(state, base)).toEqual(drafts.merged?.meta.merging);
    expect(state.touched?.gone).toEqual({
      place: 2,
      set: { version: 3_584_000_000_000_121, author: 9, isRemoved: true },
    });
    expect(state.touched?.bags?.counter).toEqual({
      from: 4,
      sums: { 9: { sum: -3, version: 3_584_000_000_000_120 } },
    });
  });

  it('reads an entry wherever it lies in a larger buffer', () => {
    const bytes = golden('merged');
    const larger = Buffer.concat([Buffer.alloc(13, 1), bytes, Buffer.alloc(5, 2)]);
    const view = viewOf(larger.subarray(13, 13 + bytes.length));
    expect(view.meta.merging).toEqual(drafts.merged?.meta.merging);
    expect(Buffer.from(view.retain().body).toString()).toBe('{"id":"AA100","gate":"B7"}');
  });

  it('refuses an entry with any byte changed before its body', () => {
    const bytes = golden('page');
    const bodyAt = bytes.length - '{"id":"AA100","gate":"B7"}'.length;
    const accepted: number[] = [];
    for (let at = 0; at < bodyAt; at += 1) {
      for (const bit of [1, 16, 128]) {
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8((damaged[at] ?? 0) ^ bit, at);
        if (new EntryView(() => undefined).attach('k', damaged)) accepted.push(at);
      }
    }
    expect(accepted).toEqual([]);
  });

  it('refuses an entry that was cut short, or lengthened, or is of another format', () => {
    const bytes = golden('record');
    const newer = Buffer.from(bytes);
    newer[AT.format] = 2;
    const wrong = [
      bytes.subarray(0, HEADER_BYTES - 1),
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.of(0)]),
      newer,
      Buffer.alloc(0),
    ];
    const view = new EntryView(() => undefined);
    expect(wrong.map((candidate) => view.attach('k', candidate))).toEqual(wrong.map(() => false));
  });

  it('keeps meta as plain msgpack that needs nothing else to be read', () => {
    const bytes = golden('merged');
    const metaLength = bytes.readUInt32LE(AT.metaLength);
    const from = HEADER_BYTES + bytes.readUInt16LE(AT.tagLength);
    expect(unpackPlain(bytes.subarray(from, from + metaLength))).toEqual(drafts.merged?.meta);
  });
});
