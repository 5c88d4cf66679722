/** What the simulation has found, each as the shortest story that shows it. */
import { afterEach, describe, expect, it } from 'vitest';
import { AHEAD_NOTE, aheadObeyed } from '../../../src/base/obeyed-ahead.ts';
import { Fleet } from '../../simulation/fleet.ts';
import { ROWS } from '../../simulation/sim-node.ts';

let fleet = new Fleet([]);
afterEach(() => {
  for (const node of fleet.nodes) node.kill();
});

const streams = (one: string, other: string) => fleet.peerOf(one, other)?.pull === 'streaming';
const effects = (name: string) => [...fleet.node(name).disk.effects.values()];

/** a – b – c: what a and c know of each other they have from b. */
async function chain(): Promise<void> {
  fleet = new Fleet(['a', 'b', 'c']);
  fleet.part('a', 'c');
  fleet.start();
  await fleet.until(() => streams('b', 'a') && streams('b', 'c'));
  await fleet.until(() => streams('a', 'b') && streams('c', 'b'));
  await fleet.pass(1_000);
}

describe('the simulation found that', () => {
  it('a purge which a relay had applied ahead had no effect behind it [R9]', async () => {
    await chain();
    fleet.node('c').kill();
    fleet.tell('a', 'invalidation');
    await fleet.pass(1_000);
    expect(effects('b')).toEqual([1]);
    fleet.node('c').start();
    await fleet.until(() => effects('c').length === 1);
    expect(effects('c')).toEqual([1]);
  });

  it('a snapshot raised cursors at those who streamed from its taker [R3]', async () => {
    await chain();
    fleet.part('a', 'b');
    await fleet.until(() => fleet.peerOf('b', 'a')?.isConnected === false);
    fleet.put('a', 'r', { v: 1 });
    fleet.tell('a', 'message');
    await fleet.pass(100);
    fleet.node('a').disk.trim(0);
    fleet.network.heal();
    fleet.part('a', 'c');
    await fleet.until(() => fleet.record('c', 'r') !== undefined);
    expect(fleet.node('b').disk.drops).toBe(1);
    // It could not be told of the message by a stream, and must know that it was not.
    await fleet.until(() => fleet.node('c').disk.drops === 1);
  });

  it('streams were opened anew for ever, each at the word of another', async () => {
    fleet = new Fleet(['a', 'b', 'c', 'd']);
    fleet.start();
    await fleet.until(() => streams('a', 'b') && streams('d', 'c') && streams('b', 'd'));
    await fleet.pass(5_000);
    const { frames } = fleet.network;
    await fleet.pass(10_000);
    // Six pairs, a heartbeat and its echo both ways a second, and nothing else.
    expect(fleet.network.frames - frames).toBeLessThanOrEqual(6 * 2 * 2 * 11);
  });

  it('a batch of stamps ahead of the clock waited on, although they were stamped anew', async () => {
    fleet = new Fleet(['a', 'b', 'c']);
    fleet.node('c').skew = 3_600_000;
    fleet.node('c').start();
    fleet.put('c', 'r', { v: 1 });
    await fleet.pass(100);
    fleet.node('c').kill();
    fleet.node('c').skew = 0;
    fleet.start();
    await fleet.until(() => fleet.record('a', 'r') !== undefined);
    expect(fleet.record('b', 'r')).toEqual({ v: 1 });
  });

  it('messages stamped ahead of the clock held up what came after them', async () => {
    fleet = new Fleet(['a', 'b', 'c']);
    fleet.node('c').skew = 3_600_000;
    fleet.node('c').start();
    fleet.tell('c', 'message');
    await fleet.pass(100);
    fleet.node('c').kill();
    fleet.node('c').skew = 0;
    fleet.start();
    fleet.put('c', 'after', { v: 1 });
    await fleet.until(() => fleet.record('a', 'after') !== undefined);
    expect(effects('a')).toEqual([1]);
  });

  it('a node without changes of its own was not believed its first one', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.node('a').hasLate = false;
    fleet.start();
    await fleet.until(() => streams('b', 'a'));
    fleet.put('a', 'first', { v: 1 });
    await fleet.until(() => fleet.record('b', 'first') !== undefined);
    expect(fleet.node('b').run?.replicator.counts.framesRefused).toBe(0);
  });

  it('a node seemed to miss what nobody had changed, and took snapshots for it [R5]', async () => {
    await chain();
    for (let at = 0; at < 20; at += 1) fleet.put('a', `r${at}`, { at });
    fleet.put('b', 'own', { v: 1 });
    await fleet.until(() => fleet.record('c', 'r19') !== undefined);
    fleet.node('c').kill();
    fleet.put('a', 'more', { v: 1 });
    await fleet.pass(500);
    fleet.node('c').start();
    await fleet.until(() => fleet.record('c', 'more') !== undefined);
    expect(fleet.nodes.map(({ disk }) => disk.drops)).toEqual([0, 0, 0]);
  });

  it('the first node of a cluster thought that it was joining, and nobody could join', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    await fleet.until(() => fleet.nodes.every(({ run }) => run?.replicator.isCaughtUp === true));
  });

  it('a node that started again had forgotten which purges it obeyed ahead of their place [R14]', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    await fleet.until(() => streams('a', 'b') && streams('b', 'a'));
    // What stands in a's log comes to b no more; what is announced does.
    fleet.network.loses = ({ kind }) => kind === 'batch';
    fleet.tell('a', 'invalidation');
    await fleet.until(() => effects('b').length === 1);
    const { author, horizon } = fleet.node('a').disk;
    fleet.node('b').kill();
    const kept = aheadObeyed(fleet.node('b').disk.notes.get(AHEAD_NOTE));
    expect(kept.map(([one, at]) => [one, at])).toEqual([[author, horizon.cursors.get(author)]]);
  });

  it('a lost reply left a node for ever without comparing what it holds [R10]', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    await fleet.until(() => streams('a', 'b') && streams('b', 'a'));
    const verified = () => fleet.peerOf('a', 'b')?.counts?.verified ?? 0;
    await fleet.until(() => verified() > 0);
    const before = verified();
    let lost = 0;
    fleet.network.loses = ({ kind }) => {
      if (kind === 'digests') lost += 1;
      return kind === 'digests';
    };
    fleet.node('a').run?.replicator.verify();
    await fleet.until(() => lost > 0);
    fleet.network.loses = () => false;
    await fleet.until(() => verified() > before, 60_000);
  });

  it('a stream that was being opened stayed without what the backbone told no longer [R13]', async () => {
    fleet = new Fleet(['a', 'b'], true);
    fleet.start();
    const pull = () => fleet.peerOf('b', 'a');
    await fleet.until(() => pull()?.isByBackbone === true);
    fleet.backbone.down();
    await fleet.until(() => pull()?.isByBackbone === false && streams('b', 'a'));
    fleet.network.setLatency('a', 'b', 1_500);
    fleet.backbone.up();
    await fleet.until(() => pull()?.pull === 'opening');
    fleet.backbone.down();
    await fleet.until(() => streams('b', 'a'));
    fleet.tell('a', 'message');
    await fleet.until(() => effects('b').length === 1);
    expect(effects('b')).toEqual([1]);
  });
});

describe('what must hold whatever the order [R4]', () => {
  it('sums of authors who lost their newest commits are never taken back', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    fleet.put('a', 'n', { count: 0 });
    await fleet.until(() => fleet.record('b', 'n') !== undefined);
    fleet.add('b', 'n', 'count', 5);
    await fleet.until(() => fleet.record('a', 'n')?.count === 5);
    fleet.node('b').cutPower();
    fleet.node('b').start();
    fleet.add('b', 'n', 'count', 2);
    await fleet.until(() => fleet.record('a', 'n')?.count === 7);
    expect(fleet.record('b', 'n')).toEqual({ count: 7 });
  });

  it('an empty node under an old name gets everything back, its own rows too [R8]', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    fleet.put('b', 'own', { v: 1 });
    await fleet.until(() => fleet.record('a', 'own') !== undefined);
    fleet.node('b').loseDisk();
    fleet.node('b').start();
    expect(fleet.node('b').run?.replicator.isCaughtUp).toBe(false);
    await fleet.until(() => fleet.node('b').run?.replicator.isCaughtUp === true);
    expect(fleet.record('b', 'own')).toEqual({ v: 1 });
  });

  it('rows that a link lost are repaired [R10]', async () => {
    fleet = new Fleet(['a', 'b']);
    fleet.start();
    fleet.put('a', 'r', { v: 1 });
    await fleet.until(() => fleet.record('b', 'r') !== undefined);
    fleet.node('b').disk.setRow(ROWS.name, 'r', undefined);
    fleet.node('b').run?.replicator.verify();
    await fleet.until(() => fleet.record('b', 'r') !== undefined);
    expect(fleet.peerOf('b', 'a')?.counts?.repaired).toBe(1);
  });
});
