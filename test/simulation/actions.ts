/**
 * A schedule as plain data, made from a seed: what clients, operators and misfortune do, and when.
 * It can be cut down action by action, to find the few that matter.
 */
import { Random } from './random.ts';

export type Trouble =
  | 'cuts'
  | 'dirt'
  | 'kills'
  | 'power'
  | 'disks'
  | 'joins'
  | 'leaves'
  | 'trims'
  | 'skews'
  | 'schema'
  | 'mesh'
  | 'slow';

const TROUBLES: readonly Trouble[] = [
  ...(['cuts', 'dirt', 'kills', 'power', 'disks', 'joins'] as const),
  ...(['leaves', 'trims', 'skews', 'schema', 'mesh', 'slow'] as const),
];

export type ActionKind =
  | 'put'
  | 'patch'
  | 'add'
  | 'delete'
  | 'message'
  | 'invalidate'
  | 'read'
  | 'cut'
  | 'cutOneWay'
  | 'heal'
  | 'kill'
  | 'stop'
  | 'power'
  | 'disk'
  | 'start'
  | 'join'
  | 'leave'
  | 'trim'
  | 'skew'
  | 'step'
  | 'learnTable'
  | 'verify'
  /** A row of this node alone. */
  | 'local'
  /** Something happens to the backbone. */
  | 'stream';

export interface Action {
  readonly kind: ActionKind;
  /** Milliseconds after the action before. */
  readonly wait: number;
  /** Which of the nodes that qualify, and other choices: reduced by what there is. */
  readonly node: number;
  readonly other: number;
  readonly amount: number;
}

export interface Schedule {
  readonly seed: number;
  readonly nodes: number;
  readonly troubles: readonly Trouble[];
  /** The fleet has a stream that a server keeps. */
  readonly hasBackbone: boolean;
  readonly actions: readonly Action[];
}

const WRITES: readonly ActionKind[] = [
  ...(['put', 'put', 'patch', 'patch', 'patch', 'add', 'add', 'delete'] as const),
  ...(['message', 'invalidate', 'read', 'read'] as const),
];

const BY_TROUBLE: Readonly<Record<Trouble, readonly ActionKind[]>> = {
  cuts: ['cut', 'cutOneWay', 'heal'],
  dirt: [],
  kills: ['kill', 'stop', 'start'],
  power: ['power', 'start'],
  disks: ['disk', 'start'],
  joins: ['join'],
  leaves: ['leave'],
  trims: ['trim', 'trim'],
  skews: ['skew', 'step', 'start'],
  schema: ['learnTable'],
  mesh: [],
  slow: [],
};

/** Small fleets mostly, since they are cheap; each size up to sixteen comes up. */
function fleetSize(random: Random): number {
  const draw = random.next();
  if (draw < 0.6) return random.between(2, 4);
  if (draw < 0.93) return random.between(4, 7);
  return random.between(8, 16);
}

export function scheduleOf(seed: number, operations: number): Schedule {
  const random = new Random(seed);
  const nodes = fleetSize(random);
  // Who leaves a sparse mesh may leave it in two parts.
  const drawn = TROUBLES.filter(() => random.chance(0.35));
  const troubles = drawn.filter((one) => one !== 'leaves' || !drawn.includes('mesh'));
  const kinds = troubles.flatMap((trouble) => BY_TROUBLE[trouble]);
  const troubled = random.next() * 0.3;
  const pace = random.pick([5, 20, 60, 150]);
  const actions = Array.from({ length: operations }, (): Action => {
    const isTrouble = kinds.length > 0 && random.chance(troubled);
    return {
      kind: isTrouble ? random.pick([...kinds, 'verify', 'start']) : random.pick(WRITES),
      wait: random.chance(0.05) ? random.below(3_000) : random.below(pace),
      ...{ node: random.below(1_000), other: random.below(1_000), amount: random.below(1_000) },
    };
  });
  const own = new Random(seed ^ 0xbac0);
  const hasBackbone = own.chance(0.5);
  const happenings = hasBackbone ? actions.flatMap((action) => withStream(own, action)) : actions;
  const alone = new Random(seed ^ 0x10ca1);
  const all = happenings.flatMap((action) => withLocal(alone, action));
  return { seed, nodes, troubles, hasBackbone, actions: all };
}

/** Before some writes the same row, or another, is written for its node alone. */
function withLocal(random: Random, action: Action): readonly Action[] {
  if (!random.chance(0.08)) return [action];
  return [
    { ...action, kind: 'local', wait: random.below(50), amount: random.below(1_000) },
    action,
  ];
}

/** Before some actions something happens to the backbone. */
function withStream(random: Random, action: Action): readonly Action[] {
  if (!random.chance(0.03)) return [action];
  const what = { node: 0, other: 0, amount: random.below(1_000) };
  return [{ kind: 'stream', wait: random.below(50), ...what }, action];
}
