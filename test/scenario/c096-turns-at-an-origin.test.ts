/**
 * A flood of keys that nobody holds, over the wire: what is held is answered meanwhile, who asks
 * for one thing has his turn before who asks for many, and the flood is told when to come back.
 */
import { describe, expect, it } from 'vitest';
import { cachedTable, originFile, pass, read } from '../support/cache-apps.ts';
import { type Behaviour, behave, HttpOrigin } from '../support/http-origin.ts';
import { startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

const QUEUE = 8;
const FLOOD = 20;
const SETTINGS = `concurrency: 1\nqueue: ${QUEUE}\ntimeout: 60s\nretries: 0\n`;

const asking = (base: string, path: string, from: string): RawConnection => {
  const connection = new RawConnection(base, from);
  connection.send(`${headOf(`GET ${path}`)}\r\n`);
  return connection;
};

describe.each(['uws', 'node'])('a flood of misses, on the %s engine', (engine) => {
  it('leaves others their turn and what is held its answers', async () => {
    const held: (() => void)[] = [];
    const answer = behave.json({ n: 1 });
    const later: Behaviour = (socket, request) => void held.push(() => answer(socket, request));
    const origin = await HttpOrigin.start(() => answer);
    const node = await startNode({
      files: {
        'schema.graphql': cachedTable({ name: 'Item', cache: 'freshness: "1h"' }),
        'origins/api.yaml': originFile(origin.url, SETTINGS),
      },
      flags: ['--threads', '1'],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    expect((await read(node, '/Item/held')).status).toBe(200);
    await until('it to be stored', async () =>
      (await read(node, '/Item/held')).cache.includes('hit'),
    );

    origin.script = () => later;
    const flood = Array.from({ length: FLOOD }, (_, index) =>
      asking(node.http, `/Item/flood-${index}`, '127.0.0.3'),
    );
    const refused = () => flood.filter((one) => one.statuses[0] === 503);
    await until('the flood to fill the queue', () => refused().length === FLOOD - QUEUE - 1);
    expect(refused()[0]?.text).toMatch(/^retry-after: 1\r$/im);
    expect(refused()[0]?.text).toContain('\\"queue\\" of the origin bounds it');

    const honest = asking(node.http, '/Item/honest', '127.0.0.4');
    await until('one of the flood to give way', () => refused().length === FLOOD - QUEUE);
    const hit = await read(node, '/Item/held');
    expect([hit.status, hit.cache.includes('hit')]).toEqual([200, true]);
    expect(honest.statuses).toEqual([]);

    await until('all that waited to be served', async () => {
      held.shift()?.();
      await pass(5);
      return flood.every((one) => one.statuses.length === 1) && honest.statuses.length === 1;
    });
    expect(honest.statuses).toEqual([200]);
    const asked = origin.requests.map(({ path }) => path).filter((path) => path !== '/Item/held');
    expect(asked.indexOf('/Item/honest')).toBeLessThanOrEqual(2);
    for (const one of [...flood, honest]) one.destroy();
    await node.dispose();
    await origin.close();
  });
});
