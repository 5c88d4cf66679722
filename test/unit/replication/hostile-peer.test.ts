/**
 * What a node that has proved its name may still not do: nothing of it has effect, all is counted.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import { versionAt } from '../../../src/base/hlc.ts';
import { putRow } from '../../../src/cache/row-write.ts';
import { Fleet, type Stranger } from '../../simulation/fleet.ts';
import { UNBOUNDED } from '../../simulation/sim-store.ts';

const HOUR = 3_600_000;
let fleet = new Fleet(['a']);
afterEach(() => {
  for (const node of fleet.nodes) node.kill();
});

async function strangerAt(): Promise<Stranger> {
  fleet = new Fleet(['a']);
  fleet.start();
  fleet.put('a', 'mine', { kept: true });
  await fleet.pass(1_000);
  const stranger = await fleet.stranger('a');
  await stranger.greet();
  return stranger;
}

const refusals = () => fleet.node('a').run?.replicator.counts.framesRefused;
const sequenceNow = () => fleet.node('a').disk.sequence;

interface Forged {
  readonly author: number;
  readonly place?: number;
  readonly aheadMs?: number;
  readonly ordinal?: number;
}

function batch(stream: number, { author, place = 1, aheadMs = 0, ordinal = 1 }: Forged) {
  const now = epochMs(fleet.world.epoch + fleet.world.now + aheadMs);
  const stamp = { version: versionAt(now), author: author as never };
  const times = { storedAt: now, ...UNBOUNDED };
  const state = putRow(stamp, { body: Buffer.from('{"forged":true}'), times });
  const origin = { author, sequence: place, after: place - 1 };
  return {
    ...{ kind: 'batch', stream, ordinal, at: place, last: place, cursors: [[author, place]] },
    items: [{ kind: 'row', table: 'rows', id: 'theirs', state, origin }],
  };
}

describe('a node that has proved its name [R6]', () => {
  it('is heard as long as it keeps to the rules', async () => {
    const stranger = await strangerAt();
    const stream = await stranger.begin();
    await stranger.say(batch(stream, { author: stranger.author }));
    expect(fleet.record('a', 'theirs')).toEqual({ forged: true });
    expect(stranger.last('ack')).toMatchObject({ ordinal: 1, cursor: 1 });
    expect(refusals()).toBe(0);
  });

  it('changes nothing by a frame that is replayed', async () => {
    const stranger = await strangerAt();
    const stream = await stranger.begin();
    const first = batch(stream, { author: stranger.author });
    await stranger.say(first);
    const at = sequenceNow();
    await stranger.say(first);
    expect(refusals()).toBe(1);
    expect(sequenceNow()).toBe(at);
    expect(stranger.last('bye')?.code).toBe('FRAME_INVALID');
  });

  it('writes nothing in the name of the node that it speaks to', async () => {
    const stranger = await strangerAt();
    const stream = await stranger.begin();
    const victim = fleet.node('a').disk.author;
    await stranger.say(batch(stream, { author: victim, place: 99 }));
    expect(fleet.record('a', 'theirs')).toBeUndefined();
    expect(refusals()).toBe(1);
  });

  it('raises no cursor by a stream that begins behind what is known', async () => {
    const stranger = await strangerAt();
    await stranger.begin([[stranger.author, 1_000]]);
    expect(refusals()).toBe(1);
    expect(fleet.node('a').disk.cursors.get(stranger.author)).toBeUndefined();
  });

  it('raises no cursor above what it brings beside it', async () => {
    const stranger = await strangerAt();
    const stream = await stranger.begin();
    const forged = { ...batch(stream, { author: stranger.author, place: 5 }), cursors: [] };
    await stranger.say(forged);
    expect(refusals()).toBe(1);
    expect(fleet.record('a', 'theirs')).toBeUndefined();
  });

  it('is held, with all that follows, when its stamps are ahead of the clock', async () => {
    const stranger = await strangerAt();
    const stream = await stranger.begin();
    await stranger.say(batch(stream, { author: stranger.author, aheadMs: HOUR }));
    await stranger.say(batch(stream, { author: stranger.author, place: 2, ordinal: 2 }));
    expect(fleet.record('a', 'theirs')).toBeUndefined();
    expect(fleet.peerOf('a', 'stranger')).toMatchObject({ pull: 'held', counts: { held: 1 } });
    expect(fleet.node('a').disk.cursors.get(stranger.author)).toBeUndefined();
    expect(fleet.node('a').disk.version).toBeLessThan(versionAt(epochMs(fleet.world.epoch + HOUR)));
  });

  it.each([
    ['a kind that nobody knows', { kind: 'format' }],
    ['what is no frame', 'hello'],
    ['a second hello', undefined],
    ['an answer that nobody asked for', { kind: 'page', request: 12, rows: [] }],
    [
      'the word that it has more than there is',
      { kind: 'ack', stream: 1, ordinal: 1, cursor: 1e9 },
    ],
  ])('is cut off for %s', async (_what, frame) => {
    const stranger = await strangerAt();
    if (frame === undefined) await stranger.greet();
    else await stranger.say(frame);
    expect(refusals()).toBe(1);
    expect(stranger.last('bye')?.code).toBe('FRAME_INVALID');
  });

  it('has the effect of a purge once, however often it tells of it', async () => {
    const stranger = await strangerAt();
    const item = {
      ...{ kind: 'invalidation', table: 'cache', scope: { kind: 'table' }, soft: false },
      ...{ reason: 'purge', version: versionAt(epochMs(fleet.world.epoch)) },
      origin: { author: stranger.author, sequence: 7, after: 6 },
    };
    await stranger.say({ kind: 'purge', item });
    await stranger.say({ kind: 'purge', item });
    expect(fleet.node('a').disk.effects.get(`${stranger.author}.7`)).toBe(1);
    expect(stranger.heard.filter(({ kind }) => kind === 'purged')).toHaveLength(2);
    expect(fleet.node('a').disk.cursors.get(stranger.author)).toBeUndefined();
  });
});

describe('a hello [R8]', () => {
  it.each([
    ['CLUSTER_OTHER', { cluster: 'another' }],
    ['PROTOCOL_UNKNOWN', { protocol: 9, oldest: 8 }],
    ['NAME_MISMATCH', { name: 'b' }],
    ['SELF', { instance: 'a/1' }],
  ] as const)('is answered %s', async (code, change) => {
    fleet = new Fleet(['a']);
    fleet.start();
    const stranger = await fleet.stranger('a');
    await stranger.greet(change);
    expect(stranger.last('bye')?.code).toBe(code);
    expect(fleet.node('a').run?.replicator.liveNames).toEqual(['a']);
  });

  it("with this node's own author is refused as a copy of its folder", async () => {
    fleet = new Fleet(['a']);
    fleet.start();
    const stranger = await fleet.stranger('a');
    await stranger.greet({ author: fleet.node('a').disk.author });
    expect(stranger.last('bye')?.code).toBe('DUPLICATE_NODE');
  });

  it('of a name that is connected and well is refused', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    await fleet.until(() => fleet.peerOf('a', 'b')?.pull === 'streaming');
    const impostor = await fleet.stranger('a', 'b');
    await impostor.greet({ instance: 'another run' });
    expect(impostor.last('bye')).toBeUndefined();
    await fleet.pass(2_000);
    expect(impostor.last('bye')?.code).toBe('DUPLICATE_NODE');
    expect(fleet.peerOf('a', 'b')?.isConnected).toBe(true);
    expect(fleet.node('a').run?.replicator.counts.nodesRefused).toBe(1);
  });

  it('of a name whose connection is dead takes its place', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    await fleet.until(() => fleet.peerOf('a', 'b')?.pull === 'streaming');
    fleet.part('a', 'b');
    fleet.node('b').kill();
    const link = fleet.network.heal.bind(fleet.network);
    await fleet.pass(100);
    link();
    fleet.node('b').start();
    await fleet.until(() => fleet.peerOf('a', 'b')?.pull === 'streaming', 5_000);
    expect(fleet.node('a').run?.replicator.counts.nodesRefused).toBe(0);
  });
});
