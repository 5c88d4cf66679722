/**
 * The chart for Kubernetes, rendered for one node, three nodes and NATS: each object holds what the
 * API takes of its kind, objects fit one another, and a node starts with what its pod is given.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { SETTINGS, type Setting } from '../../src/config/settings.ts';
import {
  CHART,
  Chart,
  type Json,
  type KubernetesObject,
  WITHOUT_GO,
} from '../support/helm/chart.ts';
import { formProblems } from '../support/helm/forms.ts';
import { type NodeProcess, startNode, writeApp } from '../support/node-process.ts';

const FILES = {
  'schema.graphql': 'type Item @table @export(public: [read, insert]) { id: ID @primaryKey }\n',
  'origins/shop.yaml': 'kind: http\nurl: https://shop.example.com\n',
};
const MONITORED = {
  serviceMonitor: { enabled: true },
  prometheusRule: { enabled: true, labels: { release: 'monitoring' } },
  dashboard: { enabled: true },
};
const VALUES: Readonly<Record<string, Json>> = {
  'one node': { application: { files: FILES }, config: { limits: { connectionsMax: 500 } } },
  'three nodes': { replicaCount: 3, ...MONITORED },
  'three nodes over NATS of the chart': { replicaCount: 3, nats: { enabled: true, replicas: 3 } },
  'nodes over NATS of another release': {
    replicaCount: 2,
    nats: { url: 'nats://nats.other:4222' },
  },
  'everything that can be chosen': {
    replicaCount: 5,
    ...MONITORED,
    tls: { existingSecret: 'certificates' },
    admin: { existingSecret: 'own-admin' },
    cluster: {
      existingSecret: 'own-cluster',
      peers: ['wss://berlin.example.com:9933'],
      tlsSecret: 'peers',
    },
    ingress: { enabled: true, className: 'nginx', host: 'edge.example.com', tlsSecret: 'edge' },
    service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', annotations: { a: 'b' } },
    persistence: { storageClass: 'fast', whenDeleted: 'Delete' },
    networkPolicy: {
      clients: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
      egress: [{ to: [{ ipBlock: { cidr: '10.1.0.0/16' } }] }],
    },
    nats: { enabled: true },
    env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'origin', key: 'token' } } }],
    envFrom: [{ secretRef: { name: 'more' } }],
    imagePullSecrets: [{ name: 'registry' }],
    nodeSelector: { disk: 'nvme' },
    tolerations: [{ key: 'edge', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'high',
    podLabels: { team: 'edge' },
    podAnnotations: { note: 'x' },
    serviceAccount: { annotations: { role: 'x' } },
  },
  'without disks, budget and policy': {
    persistence: { enabled: false },
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
    topologySpreadConstraints: [],
  },
};

interface Env {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Pod {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly automountServiceAccountToken: boolean;
    readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number };
    readonly containers: readonly [
      {
        readonly image: string;
        readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        readonly env: readonly Env[];
        readonly securityContext: Json;
        readonly volumeMounts: readonly {
          readonly name: string;
          readonly mountPath: string;
          readonly readOnly?: boolean;
        }[];
        readonly startupProbe: Probe;
        readonly readinessProbe: Probe;
        readonly livenessProbe: Probe;
      },
    ];
    readonly volumes: readonly {
      readonly name: string;
      readonly configMap?: {
        readonly name: string;
        readonly items?: readonly { readonly key: string; readonly path: string }[];
      };
    }[];
  };
}
interface SetSpec {
  readonly replicas: number;
  readonly serviceName: string;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: Pod;
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}
type Labels = Readonly<Record<string, string>>;

const specOf = <T>(object: KubernetesObject): T => object.spec as T;
const holds = (labels: Labels, selector: Labels) =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

describe.skipIf(WITHOUT_GO !== undefined)('the chart', () => {
  let chart: Chart;
  beforeAll(() => {
    chart = new Chart();
  });
  afterAll(() => chart?.dispose());

  const find = (objects: readonly KubernetesObject[], kind: string, name = 'web-millrace') => {
    const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
    if (found === undefined) throw new Error(`no ${kind} ${name}`);
    return found;
  };
  const setsOf = (objects: readonly KubernetesObject[]) =>
    objects
      .filter(({ kind }) => kind === 'StatefulSet')
      .map((object) => ({ object, spec: specOf<SetSpec>(object) }));

  describe.each(Object.entries(VALUES))('for %s', (_title, values) => {
    let objects: readonly KubernetesObject[];
    beforeAll(() => {
      objects = chart.objects(values);
    });

    it('makes objects that the API takes, each once', () => {
      expect(objects.flatMap(formProblems)).toEqual([]);
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
      expect(objects.every(({ metadata }) => metadata.labels['helm.sh/chart'])).toBe(true);
    });

    it('runs its pods without root, and lets them write to their own volumes only', () => {
      for (const { spec } of setsOf(objects)) {
        const pod = spec.template.spec;
        expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
        expect(pod.automountServiceAccountToken).toBe(false);
        const [container] = pod.containers;
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        const written = container.volumeMounts.filter(({ readOnly }) => readOnly !== true);
        const places = written.map(({ mountPath }) => mountPath).sort();
        expect(places).toEqual(container.image.startsWith('nats') ? ['/data'] : ['/data', '/tmp']);
      }
    });

    it('gives each mount its volume, each volume its source, and uses all of them', () => {
      for (const { spec } of setsOf(objects)) {
        const { volumes, containers } = spec.template.spec;
        const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
        const offered = [...volumes.map(({ name }) => name), ...claims].sort();
        const mounted = containers[0].volumeMounts.map(({ name }) => name).sort();
        expect(offered).toEqual(mounted);
        for (const { configMap } of volumes) {
          if (configMap === undefined) continue;
          const held = Object.keys(find(objects, 'ConfigMap', configMap.name).data as object);
          const taken = (configMap.items ?? []).map(({ key }) => key);
          expect(held).toEqual(expect.arrayContaining(taken));
        }
      }
    });

    it('has selectors that find the pods, and ports that the pods open', () => {
      const pods = setsOf(objects).map(({ spec }) => spec.template);
      for (const { spec } of setsOf(objects)) {
        expect(holds(spec.template.metadata.labels, spec.selector.matchLabels)).toBe(true);
        find(objects, 'Service', spec.serviceName);
      }
      for (const service of objects.filter(({ kind }) => kind === 'Service')) {
        const { selector, ports } = specOf<{
          readonly selector: Labels;
          readonly ports: readonly { readonly targetPort: string }[];
        }>(service);
        const found = pods.filter(({ metadata }) => holds(metadata.labels, selector));
        expect(found).toHaveLength(1);
        const open = found[0]?.spec.containers[0].ports.map(({ name }) => name);
        expect(open).toEqual(expect.arrayContaining(ports.map(({ targetPort }) => targetPort)));
      }
      for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
        for (const object of objects.filter((one) => one.kind === kind)) {
          const spec = specOf<{
            selector?: SetSpec['selector'];
            podSelector?: SetSpec['selector'];
          }>(object);
          const { matchLabels } = spec.selector ?? spec.podSelector ?? { matchLabels: {} };
          expect(pods.filter(({ metadata }) => holds(metadata.labels, matchLabels))).toHaveLength(
            1,
          );
        }
      }
    });

    it('sets what the node has as settings, from secrets that are there', () => {
      const known = Object.values<Setting<unknown>>(SETTINGS).map(({ env }) => env);
      const { env } = specOf<SetSpec>(find(objects, 'StatefulSet')).template.spec.containers[0];
      const own = env.filter(({ name }) => name.startsWith('MILLRACE_'));
      expect(own.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
      for (const { valueFrom } of own) {
        const wanted = valueFrom?.secretKeyRef;
        if (wanted === undefined || wanted.name.startsWith('own-')) continue;
        const { stringData } = find(objects, 'Secret', wanted.name) as unknown as {
          readonly stringData: Labels;
        };
        expect(stringData[wanted.key]?.length).toBeGreaterThan(3);
      }
    });
  });

  it('names every node to every other, and none to itself', () => {
    const set = specOf<SetSpec>(find(chart.objects(VALUES['three nodes'] ?? {}), 'StatefulSet'));
    const { env } = set.template.spec.containers[0];
    const list = env.find(({ name }) => name === 'MILLRACE_PEER')?.value;
    const peersOf = (pod: string) =>
      loadConfig({ appFolder: CHART, env: { MILLRACE_NODE_NAME: pod, MILLRACE_PEER: list } }).config
        ?.cluster.peers;
    const url = (index: number) => `ws://web-millrace-${index}.web-millrace-nodes:9933`;
    expect(peersOf('web-millrace-1')).toEqual([url(0), url(2)]);
    expect(peersOf('web-millrace-7')).toEqual([url(0), url(1), url(2)]);
    const alone = specOf<SetSpec>(find(chart.objects(), 'StatefulSet')).template.spec;
    expect(alone.containers[0].env.map(({ name }) => name)).not.toContain('MILLRACE_PEER');
  });

  it('gives each node its own certificate, and addresses with TLS, from cluster.tlsSecret', () => {
    const values = { replicaCount: 2, cluster: { tlsSecret: 'peers' } };
    const { spec } = specOf<SetSpec>(find(chart.objects(values), 'StatefulSet')).template;
    const envOf = (key: string) => spec.containers[0].env.find(({ name }) => name === key)?.value;
    expect(envOf('MILLRACE_PEER')).toContain('wss://web-millrace-0.web-millrace-nodes:9933');
    expect(envOf('MILLRACE_CLUSTER_URL')).toMatch(/^wss:/);
    expect(envOf('MILLRACE_CLUSTER_CERT')).toBe('/cluster-tls/$(MILLRACE_NODE_NAME).crt');
  });

  it('refuses values that contradict one another, saying which', () => {
    expect(chart.refusal({ nats: { enabled: true, url: 'nats://a:4222' } })).toContain('nats.url');
    expect(chart.refusal({ ingress: { enabled: true } })).toContain('ingress.host');
    const twice = { config: { threads: 1 }, application: { files: { 'millrace.yaml': 'x: 1' } } };
    expect(chart.refusal(twice)).toContain('millrace.yaml');
  });

  it('has a schema of its values that knows each key it names', () => {
    const read = (file: string) => readFileSync(path.join(CHART, file), 'utf8');
    const { properties } = JSON.parse(read('values.schema.json')) as { properties: Json };
    const top = read('values.yaml').match(/^\w+(?=:)/gm) ?? [];
    expect(top).toEqual(expect.arrayContaining(Object.keys(properties)));
  });

  it.skipIf(!existsSync('/usr/sbin/nats-server'))('configures NATS as NATS takes it', () => {
    for (const replicas of [1, 3]) {
      const objects = chart.objects({ replicaCount: 3, nats: { enabled: true, replicas } });
      const map = find(objects, 'ConfigMap', 'web-millrace-nats').data as Labels;
      const folder = mkdtempSync(path.join(tmpdir(), 'millrace-nats-'));
      const file = path.join(folder, 'nats.conf');
      writeFileSync(file, map['nats.conf'] ?? '');
      const env = { ...process.env, POD_NAME: 'web-millrace-nats-0' };
      const { status, stderr } = spawnSync('nats-server', ['-t', '-c', file], { env });
      expect([status, String(stderr)]).toEqual([0, expect.stringContaining('is valid')]);
      rmSync(folder, { recursive: true });
    }
  });

  it('starts a node with the application and the environment of its pod', async () => {
    const objects = chart.objects(VALUES['one node'] ?? {});
    const { spec } = specOf<SetSpec>(find(objects, 'StatefulSet')).template;
    const [container] = spec.containers;
    const items = spec.volumes.find(({ name }) => name === 'app')?.configMap?.items ?? [];
    const held = find(objects, 'ConfigMap', 'web-millrace-app').data as Labels;
    const files = Object.fromEntries(items.map(({ key, path: at }) => [at, held[key] ?? '']));
    expect(Object.keys(files)).toEqual(['origins/shop.yaml', 'schema.graphql', 'millrace.yaml']);
    const secret = find(objects, 'Secret', 'web-millrace-admin') as unknown as {
      readonly stringData: { readonly username: string; readonly password: string };
    };
    const env = Object.fromEntries(
      container.env.map(({ name, value, valueFrom }) => [
        name,
        value ?? secret.stringData[valueFrom?.secretKeyRef?.key as 'username'] ?? 'web-millrace-0',
      ]),
    );
    const folder = writeApp(files);
    const node: NodeProcess = await startNode({ files: {}, folder, env });
    const admin = node.admin.replace('0.0.0.0', '127.0.0.1');
    for (const probe of ['startup', 'readiness', 'liveness'] as const) {
      const { path: at, port } = container[`${probe}Probe`].httpGet;
      expect(port).toBe('admin');
      expect((await fetch(admin + at)).status).toBe(200);
    }
    expect((await fetch(`${admin}/metrics`)).status).toBe(401);
    const { username, password } = secret.stringData;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    expect((await fetch(`${admin}/metrics`, { headers: { authorization } })).status).toBe(200);
    await node.dispose();
  });
});
