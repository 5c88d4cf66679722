/** The total table of `src/cache/SPEC.md` §2: every moving state × every event. */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import type { Leases } from '../../../src/cache/ports.ts';
import type { MovingKind, StateKind } from '../../../src/cache/states.ts';
import { Scenario, type ScenarioOptions } from './scenario.ts';

const EVENTS = [
  'selected',
  'reuseDecided',
  'refusalDecided',
  'shareDecided',
  'aloneDecided',
  'leadGranted',
  'followGranted',
  'replyHeld',
  'unshareableHeld',
  'turnedAway',
  'replyHanded',
  'unshareableHanded',
  'failureHanded',
  'waitEnded',
  'replied',
  'notModified',
  'notModifiedTooLate',
  'fetchFailed',
  'fillEnded',
  'staleAllowed',
  'staleRefused',
] as const;
type ReadEvent = (typeof EVENTS)[number];

/** Where an event leads, or that it cannot occur there. */
type Cell = StateKind | '·';
type Row = Record<ReadEvent, Cell>;

const NOWHERE: Row = Object.fromEntries(EVENTS.map((event) => [event, '·'])) as Row;

const TABLE: Record<MovingKind, Row> = {
  selecting: { ...NOWHERE, selected: 'deciding' },
  deciding: {
    ...NOWHERE,
    reuseDecided: 'answered',
    refusalDecided: 'refused',
    shareDecided: 'joining',
    aloneDecided: 'fetching',
  },
  joining: {
    ...NOWHERE,
    leadGranted: 'fetching',
    followGranted: 'waiting',
    replyHeld: 'deciding',
    unshareableHeld: 'fetching',
    turnedAway: 'fallingBack',
  },
  waiting: {
    ...NOWHERE,
    replyHanded: 'deciding',
    unshareableHanded: 'fetching',
    failureHanded: 'fallingBack',
    waitEnded: 'fallingBack',
  },
  fetching: {
    ...NOWHERE,
    waitEnded: 'fallingBack',
    replied: 'storing',
    notModified: 'freshening',
    notModifiedTooLate: 'fetching',
    fetchFailed: 'fallingBack',
  },
  freshening: { ...NOWHERE, fillEnded: 'answered' },
  storing: { ...NOWHERE, fillEnded: 'answered' },
  fallingBack: { ...NOWHERE, staleAllowed: 'answered', staleRefused: 'failed' },
};

const make = (options: ScenarioOptions = {}) => new Scenario({ parallel: true, ...options });

async function stale(): Promise<Scenario> {
  const scenario = make();
  await scenario.hold({ etag: '"x"' });
  await scenario.advance(61_000);
  return scenario;
}

/** What makes each possible cell happen. */
const DRIVES: Readonly<Record<string, () => Promise<Scenario>>> = {
  'selecting selected': async () => {
    const scenario = make();
    await scenario.read();
    return scenario;
  },
  'deciding reuseDecided': async () => {
    const scenario = make();
    await scenario.hold();
    await scenario.read();
    return scenario;
  },
  'deciding refusalDecided': async () => {
    const scenario = make();
    await scenario.read('a', { cacheControl: 'only-if-cached' });
    return scenario;
  },
  'deciding shareDecided': async () => {
    const scenario = make();
    await scenario.read();
    return scenario;
  },
  'deciding aloneDecided': async () => {
    const scenario = make();
    await scenario.read('a', { cacheControl: 'no-store' });
    return scenario;
  },
  'joining leadGranted': async () => {
    const leases: Leases = { acquire: async () => ({ kind: 'lead', settle: () => {} }) };
    const scenario = make({ leases });
    await scenario.hold();
    return scenario;
  },
  'joining followGranted': async () => {
    const scenario = make();
    await scenario.read();
    await scenario.read();
    return scenario;
  },
  'joining replyHeld': async () => {
    const scenario = make();
    scenario.entries.gate = new Promise(() => {});
    await scenario.hold();
    await scenario.read();
    return scenario;
  },
  'joining unshareableHeld': async () => {
    const scenario = make();
    scenario.entries.gate = new Promise(() => {});
    await scenario.hold({ cacheControl: 'private' });
    scenario.steps.length = 0;
    await scenario.read();
    await replyAll(scenario);
    return scenario;
  },
  'joining turnedAway': async () => {
    const scenario = make({ policy: { collapse: { waitersMax: 0 } } });
    await scenario.read();
    await scenario.read();
    return scenario;
  },
  'waiting replyHanded': async () => {
    const scenario = make();
    scenario.start();
    scenario.start();
    scenario.origin.next().reply();
    await scenario.step();
    return scenario;
  },
  'waiting unshareableHanded': async () => {
    const scenario = make();
    scenario.start();
    scenario.start();
    scenario.origin.next().reply({ cacheControl: 'private' });
    await scenario.step();
    await replyAll(scenario);
    return scenario;
  },
  'waiting failureHanded': async () => {
    const scenario = make();
    scenario.start();
    scenario.start();
    scenario.origin.next().fail();
    await scenario.step();
    return scenario;
  },
  'waiting waitEnded': async () => {
    const scenario = make();
    scenario.start();
    scenario.start();
    await scenario.advance(5_000);
    return scenario;
  },
  'fetching waitEnded': async () => {
    const scenario = make();
    scenario.start('a', { deadline: epochMs(scenario.clock.instant + 10) });
    await scenario.advance(10);
    return scenario;
  },
  'fetching replied': async () => {
    const scenario = make();
    await scenario.hold();
    return scenario;
  },
  'fetching notModified': async () => {
    const scenario = await stale();
    await scenario.read();
    scenario.origin.next().notModified();
    await scenario.step();
    return scenario;
  },
  'fetching notModifiedTooLate': async () => {
    const scenario = await stale();
    await scenario.read();
    scenario.entries.invalidate({ id: 'a' });
    scenario.origin.next().notModified();
    await scenario.step();
    return scenario;
  },
  'fetching fetchFailed': async () => {
    const scenario = make();
    await scenario.read();
    scenario.origin.next().fail();
    await scenario.step();
    return scenario;
  },
  'freshening fillEnded': async () => {
    const scenario = await stale();
    await scenario.read();
    scenario.origin.next().notModified();
    await scenario.step();
    return scenario;
  },
  'storing fillEnded': async () => {
    const scenario = make();
    await scenario.hold();
    return scenario;
  },
  'fallingBack staleAllowed': async () => {
    const scenario = await stale();
    await scenario.read();
    scenario.origin.next().fail();
    await scenario.step();
    return scenario;
  },
  'fallingBack staleRefused': async () => {
    const scenario = make();
    await scenario.read();
    scenario.origin.next().fail();
    await scenario.step();
    return scenario;
  },
};

async function replyAll(scenario: Scenario): Promise<void> {
  while (scenario.origin.open.length > 0) scenario.origin.next().reply();
  await scenario.step();
}

const CELLS = Object.entries(TABLE).flatMap(([state, row]) =>
  Object.entries(row)
    .filter(([, to]) => to !== '·')
    .map(([event, to]) => ({ name: `${state} ${event}`, step: `${state} → ${to}` })),
);

const PERMITTED = new Set(CELLS.map(({ step }) => step));

describe('the total table', () => {
  it.each(CELLS)('$name: $step', async ({ name, step }) => {
    const drive = DRIVES[name];
    if (drive === undefined) throw new Error(`nothing drives the cell ${name}`);
    const scenario = await drive();
    expect(scenario.steps).toContain(step);
    expect(scenario.steps.filter((taken) => !PERMITTED.has(taken))).toEqual([]);
  });

  it('has a drive for its possible cells only', () => {
    expect(Object.keys(DRIVES).sort()).toEqual(CELLS.map(({ name }) => name).sort());
  });
});
