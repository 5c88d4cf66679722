/** What may be stored, what may be shared, and what a stored reply then says of itself. */
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs, recordVersion, sequence } from '../../../src/base/brands.ts';
import { DEFAULT_POLICY, definePolicy } from '../../../src/cache/default-policy.ts';
import {
  draftOfFreshening,
  draftOfPass,
  draftOfReply,
  isUseful,
} from '../../../src/cache/draft.ts';
import { NEVER } from '../../../src/cache/entry.ts';
import type { CachePolicy } from '../../../src/cache/policy.ts';
import { isShareable, notStorable } from '../../../src/cache/storable.ts';
import { makeEntry } from '../../support/entries.ts';
import { factsOf, type ScriptedReply } from '../../support/scripted-origin.ts';

const T0 = epochMs(1_000_000_000_000);
const facts = (reply: ScriptedReply, status = 200) => factsOf(reply, status, T0, T0);
const ms = durationMs;

const contextOf = (policy: CachePolicy) => ({
  request: { id: 'a', variant: '' },
  policy,
  stamp: sequence(5),
  replaces: recordVersion(3),
  random: 0,
});
const draft = (reply: ScriptedReply, policy = DEFAULT_POLICY, status = 200) =>
  status === 404
    ? draftOfReply({ kind: 'absent', facts: facts(reply, status) }, contextOf(policy))
    : draftOfReply(
        { kind: 'found', body: Buffer.from('{}'), facts: facts(reply, status) },
        contextOf(policy),
      );

describe('storing [RFC9111 §3]', () => {
  const ignore = definePolicy({ freshness: { origin: 'ignore' } });
  it.each([
    ['a plain 200', {}, 200, undefined],
    ['no-store', { cacheControl: 'no-store' }, 200, 'no-store'],
    ['private', { cacheControl: 'private, max-age=60' }, 200, 'private'],
    ['no-cache', { cacheControl: 'no-cache' }, 200, undefined],
    ['Vary: *', { facts: { vary: ['*'] } }, 200, 'vary-any'],
    ['206', {}, 206, 'status'],
    ['302 without a lifetime', {}, 302, 'status'],
    ['302 with one', { cacheControl: 'max-age=9' }, 302, undefined],
    ['302 made public', { cacheControl: 'public' }, 302, undefined],
    ['404', {}, 404, undefined],
  ] as const)('%s', (_, reply, status, expected) => {
    expect(notStorable(facts(reply, status), 2, DEFAULT_POLICY)).toBe(expected);
  });

  it('is refused above the policy’s size, and by its hook', () => {
    const small = definePolicy({ store: { bodyMax: 10 } });
    expect(notStorable(facts({}), 10, small)).toBeUndefined();
    expect(notStorable(facts({}), 11, small)).toBe('body-too-large');
    const hooked = definePolicy({ hooks: { storable: () => false } });
    expect(notStorable(facts({}), 2, hooked)).toBe('policy');
  });

  it('under origin: ignore looks at nothing but private and what code said', () => {
    expect(notStorable(facts({ cacheControl: 'no-store' }), 2, ignore)).toBeUndefined();
    expect(notStorable(facts({ cacheControl: 'private' }), 2, ignore)).toBe('private');
    expect(notStorable(facts({ facts: { noStore: true } }), 2, ignore)).toBe('no-store');
  });
});

describe('sharing', () => {
  it.each([
    ['', true],
    ['private', false],
    ['no-store', false],
    ['no-cache', false],
    ['max-age=0', true],
  ])('%s: %s', (cacheControl, expected) => {
    expect(isShareable(facts({ cacheControl }), DEFAULT_POLICY)).toBe(expected);
  });

  it('is a hook’s to decide, but never of a private reply', () => {
    const always = definePolicy({ hooks: { shareable: () => true } });
    expect(isShareable(facts({ cacheControl: 'no-cache' }), always)).toBe(true);
    expect(isShareable(facts({ cacheControl: 'private' }), always)).toBe(false);
  });
});

describe('a draft', () => {
  it('carries the stamp and the version that it replaces', () => {
    expect(draft({})).toMatchObject({ id: 'a', stamp: 5, replaces: 3, kind: 'record' });
  });

  it('keeps the origin’s strong tag as its own, a weak one only for validating', () => {
    expect(draft({ etag: '"x"' })).toMatchObject({ entityTag: '"x"', meta: { originTag: '"x"' } });
    const weak = draft({ etag: 'W/"x"' });
    expect(weak.entityTag).toBeUndefined();
    expect(weak.meta.originTag).toBe('W/"x"');
  });

  it('is fresh for what is left of its lifetime on arrival [RFC9111 §4.2.3]', () => {
    const aged = draft({ cacheControl: 'max-age=60', ageMs: 20_000 });
    expect(aged).toMatchObject({ initialAge: 20_000, freshUntil: T0 + 40_000 });
  });

  it('takes stale windows from the origin, capped or not at all as the policy says', () => {
    const reply = { cacheControl: 'max-age=10, stale-while-revalidate=200, stale-if-error=300' };
    const windows = (origin: 'respect' | 'cap' | 'ignore') => {
      const freshness = { origin, max: ms(100_000) };
      const stale = { whileRevalidate: ms(1_000), ifError: ms(2_000) };
      const { freshUntil, ...times } = draft(reply, definePolicy({ freshness, stale }));
      return [times.staleWhileRevalidateUntil - freshUntil, times.staleIfErrorUntil - freshUntil];
    };
    expect(windows('respect')).toEqual([200_000, 300_000]);
    expect(windows('cap')).toEqual([100_000, 100_000]);
    expect(windows('ignore')).toEqual([1_000, 2_000]);
  });

  it('is kept for as long as it may be served', () => {
    const day = 86_400_000;
    expect(draft({})).toMatchObject({
      evictAt: T0 + 60_000 + day,
      staleIfErrorUntil: T0 + 60_000 + day,
    });
    const long = draft({ cacheControl: 'max-age=10, stale-if-error=172800' });
    expect(long.evictAt).toBe(T0 + 10_000 + 2 * day);
  });

  it.each([
    ['must-revalidate, max-age=5', true],
    ['proxy-revalidate, max-age=5', true],
    ['s-maxage=5', true],
    ['s-maxage=5, stale-while-revalidate=9', false],
    ['max-age=5', false],
  ])('forbids stale by %s: %s [RFC9111 §4.2.4]', (cacheControl, forbidden) => {
    expect(draft({ cacheControl }).staleForbidden).toBe(forbidden);
  });

  it('of an absence has no body, no stale windows, and goes when it expires', () => {
    expect(draft({}, DEFAULT_POLICY, 404)).toMatchObject({
      kind: 'negative',
      status: 404,
      freshUntil: T0 + 10_000,
      evictAt: T0 + 10_000,
      staleWhileRevalidateUntil: NEVER,
      staleIfErrorUntil: NEVER,
    });
  });

  it('leaves out the media type of JSON, and takes groups from the hook', () => {
    const typed = (contentType: string) => draft({ facts: { contentType } }).meta.contentType;
    expect(typed('application/json; charset=utf-8')).toBeUndefined();
    expect(typed('text/html')).toBe('text/html');
    const hooked = definePolicy({ hooks: { groupsOf: () => ['mine'] } });
    expect(draft({ groups: ['theirs'] }, hooked).meta.groups).toEqual(['mine']);
  });

  it('of a pass marker lasts for passFor and holds nothing', () => {
    const pass = draftOfPass(T0, contextOf(DEFAULT_POLICY));
    expect(pass).toMatchObject({ kind: 'pass', freshUntil: T0 + 120_000, evictAt: T0 + 120_000 });
    expect(pass.body).toHaveLength(0);
  });

  it('is of use while it may answer or be validated', () => {
    const bare = definePolicy({ stale: { ifError: ms(0) } });
    expect(isUseful(draft({ cacheControl: 'max-age=0' }, bare))).toBe(false);
    expect(isUseful(draft({ cacheControl: 'max-age=0', etag: '"x"' }, bare))).toBe(true);
    expect(isUseful(draft({ cacheControl: 'max-age=1' }, bare))).toBe(true);
    expect(isUseful(draft({ cacheControl: 'max-age=0' }))).toBe(true);
  });
});

describe('a freshened entry [RFC9111 §4.3.4]', () => {
  const entry = makeEntry({
    meta: { groups: ['g'], headers: [['x-a', '1']] },
    freshUntil: epochMs(T0 + 30_000),
  });
  const freshen = (reply: ScriptedReply) =>
    draftOfFreshening(facts(reply), entry, contextOf(DEFAULT_POLICY));

  it('keeps its bytes, its tag and what the 304 does not mention', () => {
    const freshened = freshen({ etag: '"y"', cacheControl: 'max-age=90' });
    expect(freshened.body).toBe(entry.body);
    expect(freshened.entityTag).toBe(entry.entityTag);
    expect(freshened.meta).toEqual({ groups: ['g'], headers: [['x-a', '1']], originTag: '"y"' });
    expect(freshened.freshUntil).toBe(T0 + 90_000);
  });

  it('never lives longer than before when the 304 is silent, nor than the policy now gives', () => {
    expect(freshen({}).freshUntil).toBe(T0 + 30_000);
    const short = definePolicy({ freshness: { default: ms(10_000) } });
    expect(draftOfFreshening(facts({}), entry, contextOf(short)).freshUntil).toBe(T0 + 10_000);
  });
});
