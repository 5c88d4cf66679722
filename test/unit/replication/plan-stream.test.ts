/** Where a stream may begin, so that all that it raises it also brings (SPEC §4). */
import { describe, expect, it } from 'vitest';
import { type NodeId, nodeId, type Sequence, sequence } from '../../../src/base/brands.ts';
import { StreamPlanner } from '../../../src/replication/plan-stream.ts';
import type { LogEntry } from '../../../src/replication/ports.ts';

const ME = nodeId(1);
const OTHER = nodeId(2);
const at = sequence;

/** A log by its origins; `undefined` for what a snapshot brought. */
function logOf(origins: readonly (readonly [NodeId, number, number] | undefined)[], first = 1) {
  return origins.map((origin, place): LogEntry => {
    const entry = { sequence: at(first + place), kind: 'none' as const };
    if (origin === undefined) return entry;
    const [author, one, after] = origin;
    return { ...entry, origin: { author, sequence: at(one), after: at(after) } };
  });
}

interface Asked {
  readonly log: readonly LogEntry[];
  readonly held: readonly (readonly [NodeId, number])[];
  readonly has: readonly (readonly [NodeId, number])[];
  readonly direct?: readonly NodeId[];
  readonly scope?: 'all' | 'own';
  readonly lives?: readonly (readonly [NodeId, number])[];
  readonly first?: number;
  readonly jumps?: readonly (readonly [NodeId, number])[];
}

function planOf({
  log,
  held,
  has,
  direct = [],
  scope = 'all',
  lives,
  first = 1,
  jumps = [],
}: Asked) {
  const last = at(first - 1 + log.length);
  const cursors = (pairs: Asked['held']) =>
    new Map<NodeId, Sequence>(pairs.map(([author, one]) => [author, at(one)]));
  const planner = new StreamPlanner(
    {
      lives: (lives ?? [[ME, 0]]).map(([author, since]) => ({ author, since: at(since) })),
      horizon: { sequence: last, cursors: cursors(has) },
      first: at(first),
      jumps: cursors(jumps),
    },
    { scope, cursors: cursors(held), direct: new Set(direct) },
  );
  while (planner.plan === undefined) {
    const entries = log.filter((entry) => entry.sequence > planner.next).slice(0, 2);
    planner.read({ entries, next: entries.at(-1)?.sequence ?? last, isTruncated: false }, last);
  }
  return planner.plan;
}

describe('a stream begins [R5]', () => {
  const own = logOf([
    [ME, 1, 0],
    [ME, 2, 1],
    [ME, 3, 2],
  ]);

  it("behind what is known of the server's own changes", () => {
    expect(planOf({ log: own, held: [[ME, 2]], has: [[ME, 3]] })).toEqual({
      ...{ kind: 'stream', start: 2 },
    });
  });

  it('at the end for who knows all', () => {
    expect(planOf({ log: own, held: [[ME, 3]], has: [[ME, 3]] })).toEqual({
      ...{ kind: 'stream', start: 3 },
    });
  });

  it('at the end although changes of others, which need not be sent, stand behind', () => {
    const log = logOf([
      [ME, 1, 0],
      [OTHER, 1, 0],
      [OTHER, 2, 1],
    ]);
    const has: Asked['has'] = [
      [ME, 1],
      [OTHER, 2],
    ];
    const plan = planOf({ log, held: [[ME, 1]], has, direct: [OTHER] });
    expect(plan).toEqual({ kind: 'stream', start: 3 });
  });

  it('before the first change of another that is missing', () => {
    const log = logOf([
      [OTHER, 4, 0],
      [ME, 2, 0],
      [OTHER, 7, 4],
    ]);
    const has: Asked['has'] = [
      [ME, 2],
      [OTHER, 7],
    ];
    const held: Asked['held'] = [
      [ME, 2],
      [OTHER, 5],
    ];
    expect(planOf({ log, held, has })).toEqual({ kind: 'stream', start: 2 });
  });
});

describe('what was of no concern to others [R5]', () => {
  it('is not missed', () => {
    const asked = { held: [[OTHER, 30]] as const, has: [[OTHER, 50]] as const };
    expect(planOf({ ...asked, log: logOf([undefined]) })).toEqual({ kind: 'stream', start: 1 });
    const trimmed = { log: logOf([[OTHER, 30, 20], undefined], 8), first: 8 };
    expect(planOf({ ...asked, ...trimmed })).toEqual({ kind: 'stream', start: 9 });
    const voids = {
      log: logOf(
        [
          [OTHER, 29, 20],
          [OTHER, 48, 44],
        ],
        8,
      ),
      first: 8,
    };
    expect(planOf({ ...asked, ...voids })).toEqual({ kind: 'stream', start: 8 });
  });
});

describe('a snapshot is needed [R5]', () => {
  it('where the log no longer reaches back', () => {
    const log = logOf(
      [
        [ME, 8, 7],
        [ME, 9, 8],
      ],
      8,
    );
    expect(planOf({ log, held: [[ME, 5]], has: [[ME, 9]], first: 8 }).kind).toBe('snapshot');
  });

  it('where a snapshot taken here raised the cursor past what is missing', () => {
    const log = logOf([[OTHER, 20, 0], undefined, [OTHER, 51, 50]]);
    const asked = { log, has: [[OTHER, 51]] as const, jumps: [[OTHER, 50]] as const };
    expect(planOf({ ...asked, held: [[OTHER, 30]] }).kind).toBe('snapshot');
    expect(planOf({ ...asked, held: [[OTHER, 0]] }).kind).toBe('snapshot');
    expect(planOf({ ...asked, held: [[OTHER, 50]] })).toEqual({ kind: 'stream', start: 2 });
  });

  it('where what is missing may have stood in what was trimmed', () => {
    const log = logOf([undefined, undefined], 8);
    expect(planOf({ log, held: [], has: [[OTHER, 50]], first: 8 }).kind).toBe('snapshot');
    const later = logOf([[OTHER, 50, 40]], 8);
    const asked = { log: later, has: [[OTHER, 50]] as const, first: 8 };
    expect(planOf({ ...asked, held: [[OTHER, 30]] }).kind).toBe('snapshot');
    expect(planOf({ ...asked, held: [[OTHER, 40]] })).toEqual({ kind: 'stream', start: 7 });
  });
});

describe('the earlier life of a server', () => {
  const before = nodeId(9);
  const lives: Asked['lives'] = [
    [before, 0],
    [ME, 2],
  ];

  it('is told of from its own part of the log', () => {
    const log = logOf([
      [before, 1, 0],
      [before, 2, 1],
      [ME, 3, 0],
    ]);
    const has: Asked['has'] = [
      [before, 2],
      [ME, 3],
    ];
    expect(planOf({ log, held: [[before, 1]], has, lives })).toEqual({ kind: 'stream', start: 1 });
  });

  it('is told of with what others gave back of it', () => {
    const log = logOf([
      [before, 1, 0],
      [before, 2, 1],
      [before, 3, 2],
    ]);
    const plan = planOf({ log, held: [[before, 2]], has: [[before, 3]], lives, scope: 'own' });
    expect(plan).toEqual({ kind: 'stream', start: 2 });
  });
});
