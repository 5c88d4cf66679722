/** Topic filters, clause by clause [MQTT5 §4.7]. */
import { describe, expect, it } from 'vitest';
import {
  compileTopicFilter,
  isTopicName,
  topicFilterFault,
} from '../../../src/base/topic-filter.ts';

describe('a topic filter', () => {
  it.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'a/b', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['a/+/c/#', 'a/b/c', true],
    ['a/+/c/#', 'a/b/d', false],
    ['a', 'A', false],
    ['a/', 'a', false],
  ])('%s and %s: %s [MQTT5 §4.7.1]', (filter, name, matches) => {
    expect(compileTopicFilter(filter)(name)).toBe(matches);
  });

  it.each(['#', '+/monitor/Clients', '+'])(
    '%s matches no name that begins with $ [MQTT5-4.7.2-1]',
    (filter) => {
      const matches = compileTopicFilter(filter);
      expect([matches('$SYS/monitor/Clients'), matches('$SYS')]).toEqual([false, false]);
    },
  );

  it('that names $SYS matches below it', () => {
    expect(compileTopicFilter('$SYS/#')('$SYS/broker')).toBe(true);
  });

  it.each(['', 'a#', 'a/#/b', '#/a', 'a+', '+a/b', 'a\u0000', '/'.repeat(200)])(
    '%j is none',
    (filter) => {
      expect(topicFilterFault(filter)).toBeDefined();
    },
  );

  it.each(['#', '+', 'a/+/#', '/', '//', 'a b', '$share/g/a'])('%j is one', (filter) => {
    expect(topicFilterFault(filter)).toBeUndefined();
  });
});

describe('a topic name', () => {
  it('holds no wildcard and no NUL [MQTT5-3.3.2-2]', () => {
    expect(['a/b', '/', 'ü'].every(isTopicName)).toBe(true);
    expect(['', 'a/+', '#', 'a\u0000'].some(isTopicName)).toBe(false);
  });
});
