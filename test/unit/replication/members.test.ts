/** The members of a cluster, as nodes tell each other of them. */
import { describe, expect, it } from 'vitest';
import type { Member } from '../../../src/replication/frames.ts';
import { Members } from '../../../src/replication/members.ts';

const member = (name: string, version: number, isLeft = false, urls = ['ws://x']): Member => ({
  ...{ name, urls, version, isLeft },
});

describe('members [R8]', () => {
  it('are those of the greater version, in whatever order they are told', () => {
    const words = [member('a', 3), member('a', 5, true), member('a', 4)];
    for (const order of [words, [...words].reverse()]) {
      const members = new Members([]);
      for (const word of order) members.learn([word]);
      expect(members.of('a')).toEqual(member('a', 5, true));
      expect(members.present).toEqual([]);
    }
  });

  it('agree also on two words of one version', () => {
    const left = member('a', 3, true);
    const stays = member('a', 3, false, ['ws://y']);
    for (const order of [
      [left, stays],
      [stays, left],
    ]) {
      const members = new Members(order.slice(0, 1));
      members.learn(order.slice(1));
      expect(members.of('a')).toEqual(left);
    }
  });

  it('are not news when they are known', () => {
    const members = new Members([member('a', 3)]);
    expect(members.learn([member('a', 3), member('a', 2, true)])).toBe(false);
    expect(members.declare('a', ['ws://x'], false, 9)).toBe(false);
  });

  it('come back by a word above the one that they left with', () => {
    const members = new Members([member('a', 1_000, true)]);
    expect(members.declare('a', ['ws://z'], false, 5)).toBe(true);
    expect(members.of('a')).toEqual(member('a', 1_001, false, ['ws://z']));
  });
});
