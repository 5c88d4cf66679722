/**
 * A few hundred requests that two parsers could read differently, each with a second request hidden
 * behind it, on the app port (tables and pages) and the admin port of both engines. None of the
 * hidden ones may ever be executed, no answer may be a success, and the node must live.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { RawConnection } from '../support/raw-connection.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, delete]) {
  id: ID @primaryKey
}
type Page @pages(origin: "web", path: "/*")
`;

/** What stands between the request line and the empty line, and what follows; all ambiguous. */
interface Case {
  readonly line?: string;
  readonly fields: readonly string[];
  readonly body?: string;
}

const HOST = 'Host: node.test';
const LF_BODY = '1\na\n0\n\n';

const lengths = [
  ...[
    '+5',
    '-1',
    '0x5',
    '5 5',
    '5,5',
    '5, 6',
    '5;',
    '5.0',
    '1e1',
    '٣',
    '',
    ' ',
    '99999999999999999999',
  ],
  ...['05\u000b', '5\u0000', 'five', '0, 0', '"5"', '5abc', '００'],
];
const encodings = [
  ...['xchunked', 'identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', ''],
  ...['chunked;q=1', '"chunked"', 'chunked\u0000', 'chunk', 'chunkedd', ',chunked', 'chunked,'],
  ...['\u000bchunked', 'chunked\u000b', 'cow', 'deflate', 'trailers', 'identity, chunked'],
];
const chunks = [
  ...['5\r\nabc\r\n0\r\n\r\n', 'g\r\na\r\n0\r\n\r\n', '-1\r\na\r\n0\r\n\r\n', '1\r\naXX0\r\n\r\n'],
  ...[
    '0x1\r\na\r\n0\r\n\r\n',
    '1 \r\na\r\n0\r\n\r\n',
    ' 1\r\na\r\n0\r\n\r\n',
    '\r\n1\r\na\r\n0\r\n\r\n',
  ],
  ...[
    'ffffffffffffffff1\r\na\r\n',
    '1\ra\r\n0\r\n\r\n',
    '1\r\na\n0\r\n\r\n',
    LF_BODY,
    '+1\r\na\r\n0\r\n\r\n',
  ],
  ...[
    '1\r\na\r\n0\r\nX\r\n\r\n',
    '00000000000000000000000001\r\naXX',
    '1;\u0000\r\na\r\n0\r\n\r\n',
  ],
];
const smugglers: readonly Case[] = [
  ...lengths.map((value) => ({ fields: [HOST, `Content-Length: ${value}`] })),
  ...lengths.map((value) => ({ fields: [HOST, 'Content-Length: 0', `Content-Length: ${value}`] })),
  ...lengths.map((value) => ({ fields: [HOST, `Content-Length: ${value}`, 'Content-Length: 0'] })),
  ...encodings.map((value) => ({
    fields: [HOST, `Transfer-Encoding: ${value}`],
    body: '0\r\n\r\n',
  })),
  ...encodings.map((value) => ({
    fields: [HOST, 'Content-Length: 5', `Transfer-Encoding: ${value}`],
    body: '0\r\n\r\n',
  })),
  ...encodings.map((value) => ({
    fields: [HOST, `Transfer-Encoding: ${value}`, 'Transfer-Encoding: chunked'],
    body: '0\r\n\r\n',
  })),
  ...['Content-Length', 'content-length', 'CONTENT-LENGTH'].flatMap((name) => [
    { fields: [HOST, `${name}: 0`, 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' },
    { fields: [HOST, 'Transfer-Encoding: chunked', `${name}: 0`], body: '0\r\n\r\n' },
    { fields: [HOST, `${name} : 0`] },
    { fields: [HOST, ` ${name}: 0`] },
    { fields: [HOST, `${name}\t: 0`] },
    { fields: [HOST, `${name}: 0`, `${name}: 0`] },
    { fields: [HOST, `${name}: 0\r\n 5`] },
    { fields: [HOST, `X: y\r\n ${name}: 5`] },
  ]),
  ...chunks.map((body) => ({ fields: [HOST, 'Transfer-Encoding: chunked'], body })),
];

const heads: readonly Case[] = [
  ...[
    [],
    [HOST, HOST],
    [HOST, 'host: other.test'],
    ['Host: a/b'],
    ['Host: u@a'],
    ['Host: a b'],
  ].map((fields) => ({ fields })),
  ...[
    ': empty',
    'a b: c',
    'a\u0000b: c',
    'a(b): c',
    'X: a\u0000b',
    'no-colon',
    '"q": c',
    'é: c',
  ].map((field) => ({ fields: [HOST, field] })),
  ...['X: a\r\n folded', 'X:\r\n\tfolded', 'X: a\rb', 'X: a\nContent-Length : 5'].map((field) => ({
    fields: [HOST, field],
  })),
  ...['Expect: 200-ok', 'Expect: 100-continue, x'].map((field) => ({
    fields: [HOST, field, 'Content-Length: 0'],
  })),
  ...['Content-Length: 3', 'Transfer-Encoding: chunked'].map((field) => ({
    line: 'GET /Item/1',
    fields: [HOST, field],
    body: 'abc',
  })),
  ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 ', 'http/1.1', 'HTTP/1', 'HTTQ/1.1', ''].map(
    (version) => ({ line: `POST /Item/ ${version}|`, fields: [HOST] }),
  ),
  ...['POST\t/Item/', ' POST /Item/', 'PO ST /Item/', 'POST /It\u0000em/', 'POST'].map((line) => ({
    line,
    fields: [HOST],
  })),
];

const corpus: readonly Case[] = [...smugglers, ...heads];

const credentials = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const insert = JSON.stringify({ operation: 'insert', table: 'Item', records: [{ id: 'hidden' }] });

/** The hidden request of each port, which would leave a trace. */
const doors = {
  tables: {
    line: 'POST /Item/',
    hidden: [
      'PUT /Item/hidden HTTP/1.1',
      'Host: node.test',
      'Content-Type: application/json',
      'Content-Length: 2',
      '',
      '{}',
    ].join('\r\n'),
  },
  pages: { line: 'POST /form', hidden: 'GET /hidden HTTP/1.1\r\nHost: node.test\r\n\r\n' },
  admin: {
    line: 'POST /',
    hidden: [
      'POST / HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Basic ${credentials}`,
      'Content-Type: application/json',
      `Content-Length: ${insert.length}`,
      '',
      insert,
    ].join('\r\n'),
  },
} as const;
type Door = keyof typeof doors;

function bytesOf({ line, fields, body = '' }: Case, door: Door): string {
  const given = line ?? doors[door].line;
  const first = given.endsWith('|') ? given.slice(0, -1) : `${given} HTTP/1.1`;
  return `${[first, ...fields].join('\r\n')}\r\n\r\n${body}${doors[door].hidden}`;
}

/** Sends one case; resolves with its statuses once it was answered, cut, or left in silence. */
async function sent(base: string, bytes: string): Promise<readonly number[]> {
  const connection = new RawConnection(base);
  connection.send(Buffer.from(bytes, 'latin1'));
  const end = performance.now() + SILENCE_MS;
  // Some builds hold a malformed connection open without a word until their own time-out.
  await until('an answer', () => connection.ended || performance.now() > end);
  connection.destroy();
  return connection.statuses;
}

const SILENCE_MS = 900;
const TOGETHER = 130;
/** uWS 20.30 ends the head at a field without a name, as its JavaScript side cannot see. */
const UNSEEN_BY_UWS = ': empty';

describe.each(['uws', 'node'] as const)('ambiguous requests on the %s engine', (engine) => {
  let node: NodeProcess;
  let web: Server;
  const seen: string[] = [];
  beforeAll(async () => {
    web = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.end('page');
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { port } = web.address() as AddressInfo;
    const origin = `kind: http\nurl: http://127.0.0.1:${port}\nallowPrivate: true\n`;
    const files = { 'schema.graphql': SCHEMA, 'origins/web.yaml': origin };
    node = await startNode({ files, env: { MILLRACE_HTTP_ENGINE: engine } });
  });
  afterAll(async () => {
    web?.close();
    await node?.dispose();
  });

  const hasTrace = async (door: Door): Promise<boolean> => {
    if (door === 'pages') return seen.includes('GET /hidden');
    return (await node.fetch('/Item/hidden')).status !== 404;
  };

  it.each(Object.keys(doors) as Door[])(
    'execute nothing that hides behind them [RFC9112 §11.2]: %s',
    { timeout: 60_000 },
    async (door) => {
      const base = door === 'admin' ? node.admin : node.http;
      const taken: string[] = [];
      const cases = corpus.filter(
        ({ fields }) => engine !== 'uws' || !fields.includes(UNSEEN_BY_UWS),
      );
      for (let from = 0; from < cases.length; from += TOGETHER) {
        const some = cases.slice(from, from + TOGETHER);
        const answers = await Promise.all(some.map((one) => sent(base, bytesOf(one, door))));
        for (const [index, statuses] of answers.entries()) {
          // Only refusals; after one, the parser's own 400 for what it cannot read any more.
          const isRefused = statuses.every(
            (status, i) => status >= 400 && (i === 0 || status === 400),
          );
          if (!isRefused) {
            taken.push(`${JSON.stringify(some[index])} ${statuses}`);
          }
        }
      }
      expect(taken).toEqual([]);
      expect(await hasTrace(door)).toBe(false);
      expect(seen).toEqual([]);
      expect((await node.fetch('/Item/1')).status).toBe(404);
    },
  );

  it('answer a request that is cut at any byte as if it were whole', async () => {
    await node.put('/Item/whole', { id: 'whole' });
    const text = `GET /Item/whole?${'select(id)'} HTTP/1.1\r\n${HOST}\r\nAccept: */*\r\n\r\n`;
    const cuts = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
    const statuses = await Promise.all(
      cuts.map(async (cut) => {
        const connection = new RawConnection(node.http);
        connection.socket.setNoDelay(true);
        connection.send(text.slice(0, cut));
        await new Promise((resolve) => setTimeout(resolve, 30));
        connection.send(text.slice(cut));
        await until('an answer', () => connection.ended || connection.statuses.length > 0);
        connection.destroy();
        return connection.statuses[0];
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});
