/**
 * A few hundred requests that two parsers could read differently, each with a second request hidden
 * behind it, on the app port (tables and pages) and the admin port of both engines. None of the
 * hidden ones may ever be executed, no answer may be a success, and the node must live.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type FramingCase,
  framingCorpus,
  HOST,
  requestsWithBodies,
  unseenByUws,
} from '../support/framing-corpus.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { RawConnection } from '../support/raw-connection.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, delete]) {
  id: ID @primaryKey
}
type Page @pages(origin: "web", path: "/*")
`;

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

function bytesOf({ line, fields, body = '' }: FramingCase, door: Door): string {
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
      const cases = framingCorpus.filter((one) => engine !== 'uws' || !unseenByUws(one));
      for (let from = 0; from < cases.length; from += TOGETHER) {
        const some = cases.slice(from, from + TOGETHER);
        const answers = await Promise.all(some.map((one) => sent(base, bytesOf(one, door))));
        for (const [index, statuses] of answers.entries()) {
          // Only refusals; after one, the parser's own for what it cannot read any more.
          const isRefused = statuses.every(
            (status, i) => status >= 400 && (i === 0 || status === 400 || status === 431),
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

  it('leave no body to be read as a request, whatever is answered and when [RFC9112 §9.3]', async () => {
    const { hidden } = doors.tables;
    const last = 'GET /Item/1 HTTP/1.1\r\nHost: node.test\r\nConnection: close\r\n\r\n';
    const wrong: string[] = [];
    for (let from = 0; from < requestsWithBodies.length; from += TOGETHER) {
      const some = requestsWithBodies.slice(from, from + TOGETHER);
      const answers = await Promise.all(
        some.map(({ line, fields }) => {
          const head = [`${line} HTTP/1.1`, ...fields, `Content-Length: ${hidden.length}`];
          return sent(node.http, `${head.join('\r\n')}\r\n\r\n${hidden}${last}`);
        }),
      );
      for (const [index, statuses] of answers.entries()) {
        // Its own answer and that of the last request: a third one would be of the body.
        const finals = statuses.filter((status) => status >= 200);
        if (finals.length > 2) wrong.push(`${JSON.stringify(some[index])} ${statuses}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(await hasTrace('tables')).toBe(false);
  });

  it('execute nothing behind a request that said close [RFC9112 §9.6]', async () => {
    const last = `GET /Item/1 HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\r\n`;
    await sent(node.http, last + doors.tables.hidden);
    expect(await hasTrace('tables')).toBe(false);
    expect(await sent(node.http, last)).toEqual([404]);
  });

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
