/**
 * What somebody reads who is refused: each text names what was refused and says what to do, and
 * none says more to one stranger than to another. Here the text is what is tested, by the words
 * that a reader needs of it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONNECT, MqttPackets } from '../support/mqtt-packets.ts';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';
import { sendBytes } from '../support/raw-http.ts';
import { ENGINES, JSON_BODY } from '../support/scenario-apps.ts';

const FILES = {
  'schema.graphql': `
type Open @table @export(public: [read, insert, update]) { id: ID @primaryKey, n: Int! }
type Closed @table @export { id: ID @primaryKey, n: Int! }
`,
  'roles.yaml': 'reader: { tables: { Open: { read: true } } }\n',
  'millrace.yaml':
    'http: { cors: { origins: [https://app.example] } }\nlimits: { requestBodyBytesMax: 2000 }\n',
};
const READER = { username: 'rita', password: 'a few long words' };
const basic = (username: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});
const rita = basic(READER.username, READER.password);
const write = (fields: Record<string, string> = {}, body = '{"n":1}'): RequestInit => ({
  method: 'PUT',
  headers: { ...JSON_BODY, ...fields },
  body,
});

type Case = readonly [
  what: string,
  target: string,
  init: RequestInit,
  status: number,
  says: RegExp,
];
const CASES: readonly Case[] = [
  ['a stranger', '/Closed/a', {}, 401, /may not read Closed: sign in with .*API key/],
  ['a stranger who opens it', '/Closed/', {}, 401, /@export\(public: \[read\]\)/],
  ['who may read only', '/Closed/a', write(rita), 403, /may not .* Closed: .*roles\.yaml/],
  ['a follower', '/Closed/', { headers: { accept: 'text/event-stream' } }, 401, /sign in/],
  ['another scheme', '/Closed/a', { headers: { authorization: 'Digest x' } }, 401, /Bearer/],
  ['an old token', '/Closed/a', { headers: { authorization: 'Bearer x' } }, 401, /sign in again/],
  ['a wrong path', '/open/a', {}, 404, /there are: \/Open\/ \/Closed\//],
  ['no upgrade', '/live', {}, 400, /Upgrade: websocket/],
  ['a method of records', '/Open/', { method: 'PUT', ...write() }, 400, /key in the URL/],
  ['a wrong type', '/Open/a', write({ 'content-type': 'a/b' }), 415, /application\/json/],
  ['a coding', '/Open/a', write({ 'content-encoding': 'br' }), 415, /no content-encoding/],
  ['a large body', '/Open/a', write({}, `"${'x'.repeat(3_000)}"`), 413, /requestBodyBytesMax/],
  ['a wrong tag', '/Open/none', write({ 'if-match': '"x"' }), 412, /read it again/],
  ['a wrong field', '/Open/?m=1', {}, 400, /it has id, n/],
  ['a wrong Accept', '/Open/a', { headers: { accept: 'image/png' } }, 406, /application\/json/],
  ['a long URL', `/Open/?n=${'1'.repeat(9_000)}`, {}, 414, /urlBytesMax/],
];

describe.each(ENGINES)('a refusal over %s says what to do', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: FILES, env: { MILLRACE_HTTP_ENGINE: engine } });
    await node.operate({ operation: 'add_user', ...READER, role: 'reader' });
    await node.put('/Open/a', { n: 1 });
  });
  afterAll(() => node.dispose());

  const told = async (target: string, init: RequestInit = {}) => {
    const response = await node.fetch(target, init);
    const { detail } = (await response.json()) as { detail: string };
    return { status: response.status, detail };
  };

  it.each(CASES)('to %s', async (_, target, init, status, says) => {
    const answer = await told(target, init);
    expect(answer).toEqual({ status, detail: expect.stringMatching(says) });
  });

  it('and is the same for a user that exists and for one that does not', async () => {
    const wrong = await told('/Closed/a', { headers: basic(READER.username, 'wrong') });
    const nobody = await told('/Closed/a', { headers: basic('nobody', 'wrong') });
    expect(wrong).toEqual(nobody);
    expect(wrong.status).toBe(401);
  });

  it('to an operator on the admin port', async () => {
    const ask = async (document: object, fields: object = JSON_BODY) => {
      const answer = await fetch(`${node.admin}/`, {
        method: 'POST',
        headers: { ...fields, ...basic(ADMIN.username, ADMIN.password) },
        body: JSON.stringify(document),
      });
      return ((await answer.json()) as { detail: string }).detail;
    };
    expect(await ask({ operation: 'x' })).toContain('describe_all');
    expect(await ask({}, {})).toContain('application/json');
    const asRita = { ...JSON_BODY, ...rita };
    const denied = await fetch(`${node.admin}/`, {
      ...{ method: 'POST', headers: asRita, body: '{"operation":"list_users"}' },
    });
    expect(denied.status).toBe(403);
    expect(await denied.text()).toContain('roles.yaml');
  });

  it('to a page that opens a WebSocket from elsewhere', async () => {
    const head = [
      ...['GET /live HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket'],
      ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
      'Origin: https://evil.example',
    ];
    const answer = await sendBytes(node.http, Buffer.from(`${head.join('\r\n')}\r\n\r\n`));
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain('http.allowedOrigins');
  });

  it('to an MQTT client, in the reason string', async () => {
    const asked = new MqttPackets(node.mqtt);
    const stranger = new MqttPackets(node.mqtt);
    try {
      stranger.send({ ...CONNECT, clientId: 's' });
      expect((await stranger.next('connack'))?.properties?.reasonString).toContain('API key');
      const { username, password } = READER;
      expect(await asked.connect({ username, password: Buffer.from(password) })).toBe(0);
      asked.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [{ topic: 'Closed/a', qos: 0 }],
      });
      const { properties } = (await asked.next('suback')) ?? {};
      expect(properties?.reasonString).toMatch(/may not subscribe to Closed\/a: .*roles\.yaml/);
    } finally {
      asked.destroy();
      stranger.destroy();
    }
  });
});
