/**
 * What the rules of selection let through, by table, key and direction, and when a peer's word
 * about others may be taken.
 */
import { describe, expect, it } from 'vitest';
import { tableName } from '../../../src/base/brands.ts';
import type { ReplicatedTable } from '../../../src/replication/ports.ts';
import {
  EVERYTHING,
  holdsAll,
  type Selection,
  tableTravels,
  travels,
} from '../../../src/replication/selection.ts';

const table = (name: string, database = 'data'): ReplicatedTable => {
  return { name: tableName(name), database, mode: 'rows' };
};
const flights = table('flights');
const bags = table('cargo.bags', 'cargo');

const rules: Selection = [
  { table: flights.name, prefix: 'eu-', direction: 'send' },
  { table: flights.name, prefix: 'us-', direction: 'none' },
  { database: 'cargo', direction: 'receive' },
];

describe('rules of selection [R1]', () => {
  it.each([
    [flights, 'eu-1', 'send', true],
    [flights, 'eu-1', 'receive', false],
    [flights, 'us-1', 'send', false],
    [flights, 'us-1', 'receive', false],
    [flights, 'asia-1', 'send', true],
    [flights, 'asia-1', 'receive', true],
    [bags, 17, 'send', false],
    [bags, 17, 'receive', true],
  ] as const)('decide for %o, key %s, %s: %s', (one, id, way, expected) => {
    expect(travels(rules, one, id, way)).toBe(expected);
  });

  it('compare keys that are numbers as they are written', () => {
    const sevens: Selection = [{ prefix: '7', direction: 'none' }];
    expect(travels(sevens, flights, 71, 'send')).toBe(false);
    expect(travels(sevens, flights, 17, 'send')).toBe(true);
  });

  it('leave a table out only when no record of it could travel', () => {
    expect(tableTravels(rules, bags, 'send')).toBe(false);
    expect(tableTravels(rules, bags, 'receive')).toBe(true);
    expect(tableTravels(rules, flights, 'receive')).toBe(true);
    expect(tableTravels(EVERYTHING, flights, 'send')).toBe(true);
  });
});

describe('the cursors of a peer [R1]', () => {
  const own = { tables: [flights, bags], selection: EVERYTHING };

  it('are taken from a peer that holds all that this node takes', () => {
    expect(holdsAll({ tables: [bags, flights], selection: EVERYTHING }, own)).toBe(true);
  });

  it('are not taken from a peer that lacks a table, or a part of one', () => {
    expect(holdsAll({ tables: [flights], selection: EVERYTHING }, own)).toBe(false);
    expect(holdsAll({ tables: [flights, bags], selection: rules }, own)).toBe(false);
  });

  it('are taken when what the peer lacks is not taken here', () => {
    const noBags: Selection = [{ table: bags.name, direction: 'none' }];
    const peer = { tables: [flights], selection: EVERYTHING };
    expect(holdsAll(peer, { ...own, selection: noBags })).toBe(true);
  });

  it('are not taken when the peer keeps the table in another manner', () => {
    const asCache: ReplicatedTable = { ...bags, mode: 'invalidations' };
    expect(holdsAll({ tables: [flights, asCache], selection: EVERYTHING }, own)).toBe(false);
  });
});
