/** Which node a record is at home on. */
import { describe, expect, it } from 'vitest';
import { tableName } from '../../../src/base/brands.ts';
import { homeNodes } from '../../../src/replication/home-node.ts';

const TABLE = tableName('flights');
const names = ['ams', 'fra', 'iad', 'sin'];
const ids = Array.from({ length: 4_000 }, (_, at) => `flight-${at}`);
const homesOf = (among: readonly string[]) => ids.map((id) => homeNodes(TABLE, id, among)[0]);

describe('the home of a record', () => {
  it('is the same for whoever knows the same nodes', () => {
    expect(homesOf([...names].reverse())).toEqual(homesOf(names));
  });

  it('is spread over all nodes alike', () => {
    for (const name of names) {
      const share = homesOf(names).filter((one) => one === name).length / ids.length;
      expect(share).toBeGreaterThan(0.2);
      expect(share).toBeLessThan(0.3);
    }
  });

  it('moves, when a node goes, only for the records of that node, to who stood in for it', () => {
    const before = homesOf(names);
    const after = homesOf(names.filter((name) => name !== 'fra'));
    ids.forEach((id, at) => {
      const [home, standIn] = homeNodes(TABLE, id, names);
      expect(after[at]).toBe(home === 'fra' ? standIn : before[at]);
    });
  });

  it('tells a key that is a number from its text', () => {
    const differing = ids.filter(
      (_, at) => homeNodes(TABLE, at, names)[0] !== homeNodes(TABLE, `${at}`, names)[0],
    );
    expect(differing.length).toBeGreaterThan(0);
  });
});
