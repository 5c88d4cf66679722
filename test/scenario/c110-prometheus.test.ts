/**
 * Alerts and dashboard of the chart over a real node: promtool checks the rules, a real Prometheus
 * scrapes a node and evaluates every expression, and what each of them names is a metric that the
 * node has.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const repository = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const RULES = repository('helm/files/rules.yaml');
const DASHBOARD = repository('helm/files/dashboard.json');
const RULE_TESTS = repository('test/fixtures/prometheus/rules.test.yaml');
const WITHOUT_PROMETHEUS = !existsSync('/usr/bin/prometheus');

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly expr: string; readonly record?: string }[];
  }[];
}
interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets?: readonly { readonly expr: string }[];
}

const rules = parse(readFileSync(RULES, 'utf8')) as RuleFile;
const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: readonly Panel[] };
const ruleExpressions = rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr));
/** As Grafana fills them in. */
const drawn = panels
  .flatMap(({ targets }) => targets ?? [])
  .map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'));

const table = (name: string) =>
  `type ${name} @table @export(public: [read])
    @sourcedFrom(origin: "${name.toLowerCase()}", path: "/${name.toLowerCase()}/{id}") {
    id: ID @primaryKey
  }\n`;

/** Names in expressions of what a node measures; the series of a histogram by its own name. */
function metricsIn(expressions: readonly string[]): ReadonlySet<string> {
  const found = expressions.flatMap((one) => one.match(/\b(millrace|process|nodejs)_\w+/g) ?? []);
  return new Set(found.map((name) => name.replace(/_bucket$/, '')));
}

const ALONE = ['--replication-port', '0', '--node-name', 'a', '--peer', 'ws://127.0.0.1:9'];

describe.skipIf(WITHOUT_PROMETHEUS)('the alerts and the dashboard of the chart', () => {
  let node: NodeProcess;
  let origin: Server;
  let prometheus: ChildProcess;
  let url: string;
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-prometheus-'));

  beforeAll(async () => {
    origin = createServer((request, response) => {
      response.statusCode = request.url?.startsWith('/bad') ? 500 : 200;
      response.setHeader('content-type', 'application/json');
      response.end('{"name":"a"}');
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as AddressInfo;
    node = await startNode({
      files: {
        'schema.graphql': table('Good') + table('Bad'),
        ...Object.fromEntries(
          ['good', 'bad'].map((name) => [
            `origins/${name}.yaml`,
            `kind: http\nurl: http://127.0.0.1:${port}\nallowPrivate: true\nretries: 0\n` +
              'breaker: { failures: 1, cooldown: 10m }\n',
          ]),
        ),
      },
      // A member of a cluster whose other node is not there: it has all metrics of one.
      flags: ['--threads', '2', '--cluster-token', 'a token that is long enough', ...ALONE],
    });
    url = `http://127.0.0.1:${await freePort()}`;
    const file = path.join(folder, 'prometheus.yaml');
    // Recorded as often as they are looked at, to see each evaluated without waiting.
    const ownRules = path.join(folder, 'rules.yaml');
    writeFileSync(
      ownRules,
      readFileSync(RULES, 'utf8').replaceAll('interval: 30s', 'interval: 1s'),
    );
    writeFileSync(
      file,
      stringify({
        global: { scrape_interval: '500ms', evaluation_interval: '1s' },
        rule_files: [ownRules],
        scrape_configs: [
          {
            job_name: 'millrace',
            basic_auth: ADMIN,
            static_configs: [{ targets: [new URL(node.admin).host] }],
          },
        ],
      }),
    );
    prometheus = spawn(
      '/usr/bin/prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${path.join(folder, 'series')}`,
        `--web.listen-address=${new URL(url).host}`,
        '--log.level=error',
      ],
      { stdio: 'inherit' },
    );
  });
  afterAll(async () => {
    prometheus?.kill('SIGKILL');
    await node?.dispose();
    origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask<T>(pathAndQuery: string): Promise<T | undefined> {
    const response = await fetch(`${url}/api/v1/${pathAndQuery}`).catch(() => undefined);
    if (response === undefined || response.status === 503) return undefined;
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    expect([answer.status, answer.error]).toEqual(['success', undefined]);
    return answer.data;
  }
  const query = (expression: string) =>
    ask<{ result: readonly { value: readonly [number, string] }[] }>(
      `query?query=${encodeURIComponent(expression)}`,
    );

  it('are rules that promtool accepts, with their unit tests', () => {
    for (const args of [
      ['check', 'rules', RULES],
      ['test', 'rules', RULE_TESTS],
    ]) {
      const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
      expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('SUCCESS')]);
    }
  });

  it('name only what a node measures', async () => {
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    const measured = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const named = [...metricsIn([...ruleExpressions, ...drawn])];
    expect(named.length).toBeGreaterThan(35);
    expect(named.filter((name) => !measured.has(name))).toEqual([]);
    const recorded = rules.groups.flatMap((group) =>
      group.rules.flatMap((one) => one.record ?? []),
    );
    const used = ruleExpressions.flatMap((one) => one.match(/\bmillrace:[\w:]+/g) ?? []);
    expect(used.filter((name) => !recorded.includes(name))).toEqual([]);
  });

  it('has metrics that promtool finds nothing to say of', async () => {
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    const options = { input: text, encoding: 'utf8' } as const;
    const { stderr } = spawnSync('promtool', ['check', 'metrics'], options);
    expect(stderr.split('\n').filter((line) => line.includes('millrace_'))).toEqual([]);
  });

  it('are evaluated by a Prometheus that scrapes a node', { timeout: 60_000 }, async () => {
    for (let index = 0; index < 20; index += 1) await node.fetch(`/Good/${index % 5}`);
    await node.fetch('/Bad/1');
    await until('the node to be scraped', async () => {
      const up = await query('min(millrace_origin_breaker_open{origin="bad"})');
      return up?.result[0]?.value[1] === '1';
    });
    for (const expression of drawn) expect(await query(expression)).toBeDefined();
    const reads = await query('sum(millrace_cache_requests_total{table="Good"})');
    expect(reads?.result[0]?.value[1]).toBe('20');
    const pending = await until('the alert of the breaker', async () => {
      const alerts = await ask<{ alerts: readonly { labels: Record<string, string> }[] }>('alerts');
      return alerts?.alerts.find(({ labels }) => labels.alertname === 'MillraceBreakerOpen');
    });
    expect(pending.labels).toMatchObject({ origin: 'bad', severity: 'warning' });
    const loaded = await until(
      'an evaluation of every rule',
      async () => {
        const data = await ask<{ groups: readonly { rules: readonly { health: string }[] }[] }>(
          'rules',
        );
        const health = data?.groups.flatMap((group) => group.rules.map((rule) => rule.health));
        return health?.every((one) => one !== 'unknown') && health;
      },
      40_000,
    );
    expect(loaded).toHaveLength(ruleExpressions.length);
    expect(new Set(loaded)).toEqual(new Set(['ok']));
  });

  it('lays its panels out without a gap or an overlap', () => {
    const taken = new Set<string>();
    for (const { gridPos, title } of panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false]);
          taken.add(`${x},${y}`);
        }
      }
    }
    expect(panels.filter(({ type }) => type !== 'row').every((one) => one.targets?.length)).toBe(
      true,
    );
  });
});
