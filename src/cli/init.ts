/**
 * `millrace init`: an application from a sample. It asks the URL once, looks at the answer, and
 * writes a schema, an origin and a policy which `check` accepts and `dev` serves: a table over
 * records that come as JSON, a page cache over anything else. Nothing that is there is overwritten.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { exitCodeOf } from './admin-client.ts';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

type Files = Readonly<Record<string, string>>;

export function initApplication(
  folder: string,
  sample: string,
  terminal: Terminal,
): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const url = URL.canParse(sample) ? new URL(sample) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new TransferError(`${sample} is no http or https URL`, { isUsage: true });
    }
    const files = await filesFor(url, terminal);
    const root = path.resolve(terminal.cwd, folder);
    const taken = Object.keys(files).filter((name) => existsSync(path.join(root, name)));
    if (taken.length > 0) {
      const message = `${taken.join(', ')} exists in ${folder}: choose an empty folder`;
      throw new TransferError(message, { isUsage: true });
    }
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(root, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
      terminal.out(`wrote ${path.join(folder, name)}`);
    }
    terminal.out(`next: millrace dev ${folder}`);
    return EXIT.clean;
  });
}

async function filesFor(url: URL, { env }: Terminal): Promise<Files> {
  const asked = { method: 'GET', target: url.pathname + url.search } as const;
  const headers = { accept: 'application/json, text/html;q=0.9, */*;q=0.5' };
  const anonymous = { ...env, MILLRACE_ADMIN_USERNAME: undefined };
  const response = await ask({ url: url.origin }, anonymous, { ...asked, headers });
  const body = await buffer(response);
  const status = response.statusCode ?? 0;
  if (status !== 200) {
    const message = `${url.href} answered ${status}: give the URL of something that is there`;
    throw new TransferError(message, { isUsage: true });
  }
  const record = recordIn(String(response.headers['content-type'] ?? ''), body);
  return record === undefined ? pageFiles(url) : tableFiles(url, record);
}

type Json = Readonly<Record<string, unknown>>;

/** An object, or the first of a list of them. */
function recordIn(contentType: string, body: Buffer): Json | undefined {
  if (!/\bjson\b/i.test(contentType)) return undefined;
  try {
    const parsed: unknown = JSON.parse(body.toString());
    const one: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
    return typeof one === 'object' && one !== null && !Array.isArray(one)
      ? (one as Json)
      : undefined;
  } catch {
    return undefined;
  }
}

function tableFiles(url: URL, record: Json): Files {
  const segments = url.pathname.split('/').filter((segment) => segment !== '');
  const last = decodeURIComponent(segments.at(-1) ?? '');
  const named = Object.keys(record).filter(isName);
  const ofPath = named.find((name) => String(record[name]) === last);
  const key = ofPath ?? named.find((name) => name.toLowerCase() === 'id') ?? named[0] ?? 'id';
  const isOne = ofPath !== undefined;
  const parents = isOne ? segments.slice(0, -1) : segments;
  const type = typeNameOf(parents.at(-1) ?? 'record');
  const fields = [...new Set([key, ...named])].map((name) =>
    name === key ? `  ${name}: ID @primaryKey` : `  ${name}: ${scalarOf(record[name])}`,
  );
  const place = [...parents, '{id}'].join('/').replace('{id}', `{${key}}`);
  return {
    'schema.graphql': [
      `# Records of ${url.origin}, each asked for when it is first read.`,
      `type ${type}`,
      '  @table',
      `  @sourcedFrom(origin: "origin", path: "/${place}")`,
      '  @cache(policy: "cached")',
      '  @export(public: [read, subscribe]) {',
      ...fields,
      '}',
      '',
    ].join('\n'),
    'origins/origin.yaml': originFile(url),
    'cache-policies/cached.yaml': POLICY,
  };
}

function pageFiles(url: URL): Files {
  return {
    'schema.graphql': [
      `# Pages of ${url.origin}, stored as they are first asked for.`,
      'type Page @pages(origin: "origin", policy: "cached", path: "/*")',
      '',
    ].join('\n'),
    'origins/origin.yaml': `${originFile(url)}host: origin\n`,
    'cache-policies/cached.yaml': POLICY,
  };
}

const POLICY = `# What the origin says of freshness beats the default here.
freshness: { default: 60s }
stale: { whileRevalidate: 10m, ifError: 1d }
`;

function originFile(url: URL): string {
  const lines = ['kind: http', `url: ${url.origin}`, 'timeout: 10s'];
  // Private networks are refused unless they are named.
  if (isPrivate(url.hostname)) lines.push(`allowPrivate: ['${url.hostname}:${portOf(url)}']`);
  return `${lines.join('\n')}\n`;
}

const portOf = (url: URL): string =>
  url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80';

const isPrivate = (host: string): boolean =>
  /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[)/.test(host);

/** What GraphQL takes as a name. */
const isName = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name) && !name.startsWith('__');

/** `flights` → `Flight`. */
function typeNameOf(segment: string): string {
  const words = segment.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  const single = /ies$/.test(name) ? name.replace(/ies$/, 'y') : name.replace(/([^s])s$/, '$1');
  return /^[A-Za-z]/.test(single) ? single : `Record${single}`;
}

function scalarOf(value: unknown): string {
  if (typeof value === 'string') return 'String';
  if (typeof value === 'boolean') return 'Boolean';
  if (typeof value !== 'number') return 'Any';
  if (!Number.isInteger(value)) return 'Float';
  return Math.abs(value) < 2 ** 31 ? 'Int' : 'Long';
}
