/**
 * What honest clients wait while others attack: connections that never finish a head, connections
 * that come and go, wrong passwords, ever new keys.
 *
 * Estimate: a slow connection costs memory and a timer; 170 connections a second and 1,000 refused
 * sign-ins a second cost a tenth of a core. The flood of cold keys gets a
 * third of the loop: an honest hit waits for a slice of misses, and for collections of what the
 * others leave while they wait.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { bringRows } from '../harness/rows.ts';
import type { Server } from '../harness/server.ts';
import {
  type Attack,
  besiege,
  SIEGE_HEAD,
  type Siege,
  siegeRows,
  siegeVerdicts,
} from '../harness/siege.ts';

const ROWS = 10_000;
/** Nodes that have the rows: the scenarios of a run share one. */
const filled = new WeakSet<Server>();

export const ATTACKS = {
  'slow-clients': { attack: 'slow', clients: 5_000 },
  churn: { attack: 'churn', perSecond: 10_000 / 60 },
  'sign-ins': { attack: 'sign-ins', clients: 200, perSecond: 1_000 },
  'cold-keys': { attack: 'cold-keys', clients: 500 },
} as const satisfies Readonly<Record<string, Attack>>;

async function run(bench: Bench, name: string, attack: Attack) {
  const node = await bench.millrace();
  await bench.origin.control({});
  await bench.fill(node, 100);
  if (!filled.has(node)) {
    filled.add(node);
    await bringRows(node.url, 'Small', ROWS, (index) => ({ id: `r${index}`, kind: index % 20 }));
  }
  const sieges: Siege[] = [];
  for (let round = 0; round < bench.settings.repeats; round += 1) {
    sieges.push(await besiege(node, [attack], bench.settings.seconds));
  }
  return {
    title: `Honest clients beside an attack: ${name}`,
    estimate: 'p99 within twice what it is alone; memory on a plateau.',
    table: [SIEGE_HEAD, ...siegeRows(name, sieges)],
    verdicts: siegeVerdicts(name, sieges),
    notes: sieges.map((one) => `the attackers counted ${one.counts}`),
  };
}

export const siege: readonly Scenario[] = Object.entries(ATTACKS).map(([name, attack]) => ({
  name,
  run: (bench) => run(bench, name, attack),
}));
