/** Flags, environment and file: which of them wins, and what each mistake is answered with. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { type Config, type ConfigSources, loadConfig } from '../../../src/config/config.ts';
import { FLAGS } from '../../../src/config/flags.ts';
import { LIMITS } from '../../../src/config/limits.ts';
import { formatProblem } from '../../../src/schema/problem.ts';

let appFolder = '';
beforeEach(() => {
  appFolder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
});
afterEach(() => rmSync(appFolder, { recursive: true, force: true }));

const write = (text: string): void => writeFileSync(join(appFolder, 'millrace.yaml'), text);

const load = (sources: Omit<ConfigSources, 'appFolder'> = {}) =>
  loadConfig({ appFolder, env: {}, cores: 4, ...sources });

function configOf(sources: Omit<ConfigSources, 'appFolder'> = {}): Config {
  const { config, problems } = load(sources);
  expect((problems ?? []).map(formatProblem)).toEqual([]);
  return must(config, 'config');
}

const problemsOf = (sources: Omit<ConfigSources, 'appFolder'> = {}): readonly string[] =>
  (load(sources).problems ?? []).map(formatProblem);

describe('without any configuration', () => {
  it('has the ports of DESIGN §11, on loopback', () => {
    const config = configOf();
    expect(config.http.port).toBe(9926);
    expect(config.admin).toMatchObject({ host: '127.0.0.1', port: 9925 });
    expect(config.mqtt).toEqual({
      port: 1883,
      isPortChosen: false,
      requireAuthentication: true,
    });
    expect(config.replication.port).toBe(9933);
    expect(config.host).toBe('127.0.0.1');
    expect(config.store.durability).toBe('flushed');
    expect(config.limits).toEqual(LIMITS);
  });

  it('keeps its store inside the application', () => {
    expect(configOf().dataFolder).toBe(join(appFolder, '.millrace/data'));
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [8, 7],
  ])('uses of %d cores %d threads', (cores, threads) => {
    expect(configOf({ cores }).threads).toBe(threads);
  });

  it('cannot be changed afterwards', () => {
    const config = configOf();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.cluster.nats)).toBe(true);
  });
});

describe('the order of sources', () => {
  it('is flag, environment, file, default', () => {
    write('http: { port: 1001 }\nadmin: { port: 1002 }\nmqtt: { port: 1003 }\n');
    const env = { MILLRACE_HTTP_PORT: '2001', MILLRACE_ADMIN_PORT: '2002' };
    const config = configOf({ flags: { httpPort: '3001' }, env });
    expect(config.http.port).toBe(3001);
    expect(config.admin.port).toBe(2002);
    expect(config.mqtt.port).toBe(1003);
    expect(config.replication.port).toBe(9933);
  });

  it('lets the last of a repeated flag win, except where all count', () => {
    const flags = { httpPort: ['1', '2'], peer: ['ws://a:1', 'ws://b:2'] };
    const config = configOf({ flags });
    expect(config.http.port).toBe(2);
    expect(config.cluster.peers).toEqual(['ws://a:1', 'ws://b:2']);
  });

  it('takes a list of peers from one variable', () => {
    const env = { MILLRACE_PEER: 'ws://a:1, ws://b:2' };
    expect(configOf({ env }).cluster.peers).toEqual(['ws://a:1', 'ws://b:2']);
  });

  it('reads one list of peers for all nodes: a node is not a peer of itself', () => {
    const env = {
      MILLRACE_NODE_NAME: 'web-1',
      MILLRACE_PEER: 'ws://web-0.nodes:9933,ws://web-1.nodes:9933,ws://web-10.nodes:9933',
    };
    const others = ['ws://web-0.nodes:9933', 'ws://web-10.nodes:9933'];
    expect(configOf({ env }).cluster.peers).toEqual(others);
    const short = { MILLRACE_NODE_NAME: 'a', MILLRACE_PEER: 'ws://a:1 ws://b:2' };
    expect(configOf({ env: short }).cluster.peers).toEqual(['ws://b:2']);
  });

  it('treats an empty variable as none', () => {
    expect(configOf({ env: { MILLRACE_HTTP_PORT: '' } }).http.port).toBe(9926);
  });

  it('means relative folders from where they are written', () => {
    write('data: store\n');
    expect(configOf().dataFolder).toBe(join(appFolder, 'store'));
    expect(configOf({ flags: { data: 'store' } }).dataFolder).toBe(resolve('store'));
  });
});

describe('the file', () => {
  it('may set everything', () => {
    write(`
host: 0.0.0.0
threads: 2
http: { engine: node, allowedOrigins: [https://app.example.com/] }
mqtt: { requireAuthentication: false }
log: { level: debug }
store: { durability: process }
tls: { cert: tls/cert.pem, key: tls/key.pem }
admin: { username: ops, password: "\${env.PASSWORD}" }
cluster:
  name: paris-1
  token: 00712
  peers: ws://10.0.0.2:9933
  nats: { url: nats://10.0.0.3:4222, embedded: false }
  shield: true
limits:
  requestBodyBytesMax: 2MiB
  idleTimeoutSeconds: 2m
  drainMsMax: 3s
  logDaysMax: 7
  subscriptionsPerConnectionMax: 50
`);
    const config = configOf({ env: { PASSWORD: 'x', MILLRACE_UWS_PATH: '/opt/uws.node' } });
    expect(config).toMatchObject({
      host: '0.0.0.0',
      threads: 2,
      http: {
        engine: 'node',
        allowedOrigins: ['https://app.example.com'],
        uwsPath: '/opt/uws.node',
      },
      mqtt: { requireAuthentication: false },
      log: { level: 'debug' },
      store: { durability: 'process' },
      tls: { cert: join(appFolder, 'tls/cert.pem'), key: join(appFolder, 'tls/key.pem') },
      admin: { username: 'ops', password: 'x', host: '0.0.0.0' },
      cluster: {
        name: 'paris-1',
        token: '00712',
        peers: ['ws://10.0.0.2:9933'],
        nats: { url: 'nats://10.0.0.3:4222', embedded: false },
        shield: true,
      },
    });
    expect(config.limits).toEqual({
      ...LIMITS,
      requestBodyBytesMax: 2 * 1024 * 1024,
      idleTimeoutSeconds: 120,
      drainMsMax: 3_000,
      logDaysMax: 7,
      subscriptionsPerConnectionMax: 50,
    });
  });

  it('says which rows travel between nodes, and whose certificates are not believed', () => {
    write(`
cluster:
  select: [{ table: Item, prefix: eu/, direction: send }, { database: logs, direction: none }]
  revoked: ["0a:1B:2c"]
`);
    const { select, revoked } = configOf().cluster;
    expect(select).toEqual([
      { table: 'Item', prefix: 'eu/', direction: 'send' },
      { database: 'logs', direction: 'none' },
    ]);
    expect(revoked).toEqual(['0A1B2C']);
  });

  it('keeps the admin port on loopback until somebody can sign in', () => {
    write('host: 0.0.0.0\n');
    expect(configOf().admin.host).toBe('127.0.0.1');
    const env = { MILLRACE_ADMIN_USERNAME: 'a', MILLRACE_ADMIN_PASSWORD: 'b' };
    expect(configOf({ env }).admin.host).toBe('0.0.0.0');
  });

  it('names the nearest of an unknown key, with its line', () => {
    write('http:\n  prot: 80\ntreads: 1\nlimits:\n  waitersMx: 1\nstore: fast\n');
    const problems = problemsOf();
    expect(problems).toHaveLength(4);
    expect(problems[0]).toMatch(/^millrace.yaml:2:3 .*http\.prot[\s\S]*http\.port/);
    expect(problems[1]).toMatch(/^millrace.yaml:3:1 [\s\S]*threads/);
    expect(problems[2]).toMatch(/^millrace.yaml:5:3 [\s\S]*waitersMax/);
    expect(problems[3]).toMatch(/^millrace.yaml:6:8 [\s\S]*durability/);
  });

  it.each([
    'http: { port: 70000 }',
    'http: { engine: fast }',
    'threads: 0',
    'log: { level: loud }',
    'store: { durability: maybe }',
    'mqtt: { requireAuthentication: 1 }',
    'cluster: { peers: [http://a] }',
    'cluster: { name: "a b" }',
    'cluster: { token: "" }',
    'cluster: { revoked: [serial] }',
    'cluster: { select: [{ table: Item }] }',
    'cluster: { select: [{ table: Item, direction: in }] }',
    'http: { allowedOrigins: [app.example.com] }',
    'limits: { requestBodyBytesMax: much }',
    'limits: { drainMsMax: -1 }',
    'host: "not an address"',
    '- a list',
    'data: ""',
  ])('refuses %s', (text) => {
    write(text);
    const problems = problemsOf();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^millrace\.yaml:1:\d+ /);
  });

  it('is reported when it is there but cannot be read', () => {
    mkdirSync(join(appFolder, 'millrace.yaml'));
    expect(problemsOf()).toEqual(['millrace.yaml cannot be read (EISDIR)']);
  });

  it('bounds what aliases can stand for', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 12; level += 1) {
      const before = `*a${level - 1}`;
      lines.push(`a${level}: &a${level} [${Array(9).fill(before).join(', ')}]`);
    }
    write(lines.join('\n'));
    expect(problemsOf().some((problem) => problem.includes('alias'))).toBe(true);
  });
});

describe('settings that need each other', () => {
  it.each([
    [{ MILLRACE_TLS_CERT: 'c.pem' }, 'tls.key'],
    [{ MILLRACE_ADMIN_USERNAME: 'a' }, 'admin.password'],
    [{ MILLRACE_ADMIN_PASSWORD: 'a' }, 'admin.username'],
  ])('%o lacks %s', (env, missing) => {
    const problems = problemsOf({ env });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(missing);
  });

  it('are ports that differ, except free ones', () => {
    expect(problemsOf({ flags: { httpPort: '9925' } })).toHaveLength(1);
    const free = { httpPort: '0', adminPort: '0', mqttPort: '0', replicationPort: '0' };
    expect(problemsOf({ flags: free })).toEqual([]);
  });
});

describe('flags and variables', () => {
  it('exist as DESIGN §11 lists them', () => {
    expect(FLAGS.map((flag) => flag.name).sort()).toEqual(
      [
        'admin-port',
        'cluster-token',
        'data',
        'host',
        'http-port',
        'log-level',
        'mqtt-port',
        'nats',
        'node-name',
        'peer',
        'replication-port',
        'threads',
        // `dev --tls` gives these to its node.
        'tls-cert',
        'tls-key',
      ].sort(),
    );
    for (const { name, env } of FLAGS) {
      expect(env).toBe(`MILLRACE_${name.replaceAll('-', '_').toUpperCase()}`);
    }
  });

  it('are named in what is wrong with them', () => {
    expect(problemsOf({ flags: { httpPort: 'x' } })[0]).toContain('--http-port');
    expect(problemsOf({ env: { MILLRACE_THREADS: 'x' } })[0]).toMatch(/^MILLRACE_THREADS /);
  });

  it('explain the variable that Kubernetes sets for a Service', () => {
    const env = { MILLRACE_HTTP_PORT: 'tcp://10.3.0.1:9926' };
    expect(problemsOf({ env })[0]).toContain('enableServiceLinks');
  });
});
