/**
 * How each limit of queries, and of what is larger than a record may be, is reached by every
 * protocol that has it, and what it shows.
 */
import { WebSocket } from 'ws';
import { type NodeProcess, until } from './node-process.ts';

/** To be set on the node that is asked. */
export const QUERY_LIMITS = {
  queryTextCharsMax: 1_000,
  queryConditionsMax: 5,
  queryNestingMax: 2,
  querySelectMax: 3,
  querySortKeysMax: 2,
  queryJoinsDeepMax: 1,
  queryRowsScannedMax: 40,
  collectionRowsMax: 100,
  windowRowsMax: 10,
  deleteRowsMax: 30,
  operationRecordsMax: 30,
};
type QueryLimit = keyof typeof QUERY_LIMITS;

/** The name of the limit that a request is refused for, with the status. */
async function restRefusal(node: NodeProcess, query: string, init: RequestInit = {}) {
  const response = await node.fetch(`/Item/?${query}`, init);
  const { limit } = (await response.json()) as { limit?: string };
  return [response.status, limit];
}

async function liveRefusal(node: NodeProcess, target: string): Promise<unknown> {
  const socket = new WebSocket(`${node.ws}/live`);
  const heard: string[] = [];
  socket.on('message', (message) => heard.push(String(message)));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ subscribe: target }));
  await until('an answer', () => heard.length > 0);
  socket.terminate();
  return /"limit":"(\w+)"/.exec(heard[0] ?? '')?.[1];
}

/** The text of the refusal of an operation names its limit. */
async function adminRefusal(node: NodeProcess, document: object): Promise<unknown> {
  const answer = node.operate({ table: 'Item', ...document });
  const text = await answer.then(
    () => 'done',
    (error: unknown) => String(error),
  );
  return /"limit":"(\w+)"/.exec(text)?.[1];
}

const search = (more: object) => ({ operation: 'search_by_conditions', ...more });
const named = { attribute: 'name', comparator: 'equals', value: 'x' };

const overRest = (limit: QueryLimit, query: string, status = 400) => ({
  reach: (node: NodeProcess) => restRefusal(node, query),
  shows: [status, limit],
});
const overLive = (limit: QueryLimit, query: string) => ({
  reach: (node: NodeProcess) => liveRefusal(node, `/Item/?${query}`),
  shows: limit,
});
const overStream = (limit: QueryLimit, query: string) => ({
  reach: (node: NodeProcess) =>
    restRefusal(node, query, { headers: { accept: 'text/event-stream' } }),
  shows: [400, limit],
});
const overAdmin = (limit: QueryLimit, document: object) => ({
  reach: (node: NodeProcess) => adminRefusal(node, document),
  shows: limit,
});

const NO_QUERY = 'a topic filter names records and carries no query';
const OWN_WINDOW = 'the rows that a subscription shows have a limit of their own: windowRowsMax';

/** The same text, refused the same way by whatever reads it. */
const written = (limit: QueryLimit, query: string, admin: object | string) => ({
  rest: overRest(limit, query),
  websocket: overLive(limit, query),
  sse: overStream(limit, query),
  admin: typeof admin === 'string' ? admin : overAdmin(limit, admin),
  mqtt: NO_QUERY,
});

let deepGroup: object = named;
for (let i = 0; i < 2; i += 1) deepGroup = { operator: 'and', conditions: [deepGroup] };

export const queryCells = {
  queryTextCharsMax: written(
    'queryTextCharsMax',
    `name=${'x'.repeat(1_100)}`,
    'conditions are JSON, whose bytes have a limit: requestBodyBytesMax',
  ),
  queryConditionsMax: written(
    'queryConditionsMax',
    Array.from({ length: 6 }, (_, i) => `name=${i}`).join('&'),
    search({ conditions: Array.from({ length: 6 }, () => named) }),
  ),
  queryNestingMax: written(
    'queryNestingMax',
    `${'('.repeat(6)}name=1${')'.repeat(6)}`,
    search({ conditions: [deepGroup] }),
  ),
  querySelectMax: written(
    'querySelectMax',
    'select(id,name,next,id)',
    search({ conditions: [named], get_attributes: ['id', 'name', 'next', 'more'] }),
  ),
  querySortKeysMax: written(
    'querySortKeysMax',
    'sort(id,name,id)&limit(5)',
    search({
      conditions: [named],
      sort: { attribute: 'id', next: { attribute: 'name', next: { attribute: 'id' } } },
    }),
  ),
  queryJoinsDeepMax: {
    rest: overRest('queryJoinsDeepMax', 'after.after.name=x'),
    websocket: 'a subscription follows no relationships',
    sse: 'a subscription follows no relationships',
    admin: 'operations follow no relationships',
    mqtt: NO_QUERY,
  },
  queryRowsScannedMax: {
    rest: {
      async reach(node: NodeProcess) {
        const rows = Array.from({ length: 600 }, (_, i) => `{"id":"scanned-${i}"}\n`);
        const headers = { 'content-type': 'application/x-ndjson' };
        await node.fetch('/Item/', { method: 'POST', headers, body: rows.join('') });
        return restRefusal(node, 'name=none');
      },
      shows: [422, 'queryRowsScannedMax'],
    },
    websocket: 'the present state is read in turns, a part of it at a time: snapshotScanRowsMax',
    sse: 'the present state is read in turns, a part of it at a time: snapshotScanRowsMax',
    // After the rows of the cell of rest are there.
    admin: overAdmin('queryRowsScannedMax', search({ conditions: [named] })),
    mqtt: NO_QUERY,
  },
  collectionRowsMax: {
    rest: overRest('collectionRowsMax', 'limit(200)'),
    websocket: OWN_WINDOW,
    sse: OWN_WINDOW,
    admin: 'an operation answers up to operationRecordsMax records',
    mqtt: NO_QUERY,
  },
  windowRowsMax: {
    rest: 'an answer has up to collectionRowsMax rows',
    websocket: overLive('windowRowsMax', 'sort(name)&limit(20)'),
    sse: overStream('windowRowsMax', 'sort(name)&limit(20)'),
    admin: 'an operation answers up to operationRecordsMax records',
    mqtt: NO_QUERY,
  },
  deleteRowsMax: {
    rest: {
      reach: (node: NodeProcess) => restRefusal(node, 'name=none&limit(50)', { method: 'DELETE' }),
      shows: [400, 'deleteRowsMax'],
    },
    websocket: 'a client of /live writes one record at a time',
    sse: 'the client says nothing after its request',
    admin: 'records are deleted by their ids, up to operationRecordsMax of them',
    mqtt: 'a message is one record',
  },
  operationRecordsMax: {
    rest: 'an answer has up to collectionRowsMax rows, and an upload a limit of its bytes',
    websocket: 'a client of /live writes one record at a time',
    sse: 'the client says nothing after its request',
    admin: overAdmin('operationRecordsMax', {
      operation: 'delete',
      ids: Array.from({ length: 31 }, (_, i) => `none-${i}`),
    }),
    mqtt: 'a message is one record',
  },
} as const;

export const sizeCells = {
  uploadBytesMax: {
    rest: {
      async reach(node: NodeProcess) {
        const headers = { 'content-type': 'application/x-ndjson' };
        const body = '{"id":"upload"}\n'.repeat(10_000);
        const response = await node.fetch('/Item/', { method: 'POST', headers, body });
        return [response.status, ((await response.json()) as { limit?: string }).limit];
      },
      shows: [413, 'uploadBytesMax'],
    },
    websocket: 'messages have a limit of their own: messageBytesMax',
    sse: 'a stream is opened by GET, which has no body',
    admin: 'an operation is a document: requestBodyBytesMax',
    mqtt: 'packets have a limit of their own: mqttPacketBytesMax',
  },
  recordKeyBytesMax: {
    rest: 'its URL is beyond urlBytesMax before: in b004-bad-input with that raised',
    websocket: {
      reach: (node: NodeProcess) => liveRefusal(node, `/Item/${'k'.repeat(2_000)}`),
      shows: 'recordKeyBytesMax',
    },
    sse: 'its URL is beyond urlBytesMax before',
    admin: {
      reach: (node: NodeProcess) =>
        adminRefusal(node, { operation: 'insert', records: [{ id: 'k'.repeat(2_000) }] }),
      shows: 'recordKeyBytesMax',
    },
    mqtt: 'a topic is beyond mqttTopicCharsMax before',
  },
} as const;
