/**
 * NATS servers of other kinds: a leaf of a hub that keeps the stream in its own JetStream domain,
 * and a server that keeps nothing at all.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { NatsFleet } from '../support/nats-fleet.ts';
import { isNatsMissing, NatsServer } from '../support/nats-server.ts';
import { until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const HUB_APP = {
  ...CLUSTER_APP,
  'millrace.yaml': 'cluster: { nats: { stream: { domain: hub, maxBytes: 64MiB } } }\n',
};

// Some rounds are done again on a machine that is slow.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

describe.skipIf(isNatsMissing)(
  `nodes with NATS servers${isNatsMissing ? ' (nats-server is not installed)' : ''} [R13]`,
  () => {
    const servers: NatsServer[] = [];
    const fleets: NatsFleet[] = [];
    afterEach(async () => {
      await Promise.all(fleets.splice(0).map((fleet) => fleet.dispose()));
      await Promise.all(servers.splice(0).map((server) => server.dispose()));
    });
    async function run(options: Parameters<typeof NatsServer.start>[0]): Promise<NatsServer> {
      const server = await NatsServer.start(options);
      servers.push(server);
      return server;
    }
    function fleetOf(files: typeof CLUSTER_APP): NatsFleet {
      const fleet = new NatsFleet(files);
      fleets.push(fleet);
      return fleet;
    }

    it('share the stream of a hub across its leaves', async () => {
      const leafPort = await freePort();
      const hub = await run({ domain: 'hub', leafPort });
      const leaf = await run({ domain: 'leaf', hub: leafPort });
      const fleet = fleetOf(HUB_APP);
      await fleet.start('n1', hub.url);
      await fleet.start('n2', leaf.url);
      let rows = 0;
      const write = async (name: string) => {
        for (let at = 0; at < 10; at += 1) {
          rows += 1;
          const answer = await fleet.node(name).put(`/Item/${rows}`, { count: at });
          expect(answer.status).toBe(201);
        }
        await fleet.areSame(rows);
      };
      await fleet.untilByStream('n2', 10, () => write('n1'));
      await fleet.untilByStream('n1', 10, () => write('n2'));
    });

    it('go on over connections where the server keeps nothing, and say what is missing', async () => {
      const server = await run({ hasJetStream: false });
      const fleet = fleetOf(CLUSTER_APP);
      for (const name of ['n1', 'n2']) await fleet.start(name, server.url);
      await fleet.node('n1').put('/Item/a', { count: 1 });
      await fleet.areSame(1);
      const told = await until('the reason', async () => {
        const { backbone } = await fleet.node('n2').operate({ operation: 'cluster_status' });
        const { state, problem } = backbone as { state: string; problem?: string };
        return problem === undefined ? undefined : { state, problem };
      });
      expect(told.state).toBe('unavailable');
      expect(told.problem).toMatch(/no JetStream .*-js.*cluster\.nats\.stream\.domain/);
      const words = /no JetStream stream: changes travel over connections/;
      const { stderr, stdout } = fleet.node('n2');
      await until('the line in the log', () => words.test(stderr() + stdout()));
      expect(await fleet.node('n2').metric('millrace_replication_backbone_connected')).toBe(0);
      expect((await fleet.ways('n2')).peers).toBeGreaterThanOrEqual(1);
    });
  },
);
