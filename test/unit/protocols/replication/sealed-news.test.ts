/** Messages on a server that others can write to, and read: only the cluster's own are opened. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ClusterSecret } from '../../../../src/protocols/replication/proof.ts';
import { NewsSeal } from '../../../../src/protocols/replication/sealed-news.ts';

const ABOUT = 'millrace.c1.log.7.data.Item 7:0:12';
const NEWS = Buffer.from('what was changed');

describe('a sealed message', () => {
  let secret: ClusterSecret;
  let seal: NewsSeal;
  beforeAll(async () => {
    secret = await ClusterSecret.derive('a token');
    seal = new NewsSeal(secret, 'c1');
  });

  it('is read by every node of the cluster', () => {
    const sealed = seal.seal(ABOUT, NEWS);
    expect(new NewsSeal(secret, 'c1').open(ABOUT, sealed)).toEqual(NEWS);
    expect(seal.open(ABOUT, sealed)).toEqual(NEWS);
  });

  it('shows nothing of what it holds, and is another each time', () => {
    const sealed = seal.seal(ABOUT, NEWS);
    expect(sealed.includes('changed')).toBe(false);
    expect(seal.seal(ABOUT, NEWS)).not.toEqual(sealed);
  });

  it('is nothing to another cluster, another token, or under another subject or id', async () => {
    const sealed = seal.seal(ABOUT, NEWS);
    expect(new NewsSeal(secret, 'c2').open(ABOUT, sealed)).toBeUndefined();
    const other = await ClusterSecret.derive('another token');
    expect(new NewsSeal(other, 'c1').open(ABOUT, sealed)).toBeUndefined();
    expect(seal.open(`${ABOUT}0`, sealed)).toBeUndefined();
  });

  it('is refused when any byte of it is another, or missing', () => {
    const sealed = seal.seal(ABOUT, NEWS);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(seal.open(ABOUT, changed)).toBeUndefined();
      expect(seal.open(ABOUT, sealed.subarray(0, at))).toBeUndefined();
    }
  });
});
