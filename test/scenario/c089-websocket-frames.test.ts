/**
 * Frames that no WebSocket client may send [RFC6455 §5]: each ends its own connection, and nothing
 * else. Sent over a raw socket after a sound handshake, on both engines; a second client goes on
 * being told of changes throughout.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, subscribe]) { id: ID @primaryKey n: Int }
`;
const MASK = Buffer.from([1, 2, 3, 4]);
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const;

interface Shape {
  readonly final?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
  /** Instead of what the payload has. */
  readonly length?: bigint;
}

function frame(opcode: number, payload: string | Buffer = '', shape: Shape = {}): Buffer {
  const { final = true, reserved = 0, masked = true, length } = shape;
  const bytes = Buffer.from(payload);
  const first = (final ? 0x80 : 0) | (reserved << 4) | opcode;
  const own = length ?? BigInt(bytes.length);
  const bit = masked ? 0x80 : 0;
  const head = Buffer.alloc(own < 126n ? 2 : own < 65_536n ? 4 : 10);
  head[0] = first;
  if (own < 126n) head[1] = bit | Number(own);
  else if (own < 65_536n) {
    head[1] = bit | 126;
    head.writeUInt16BE(Number(own), 2);
  } else {
    head[1] = bit | 127;
    head.writeBigUInt64BE(own, 2);
  }
  if (!masked) return Buffer.concat([head, bytes]);
  const hidden = Buffer.from(bytes.map((byte, i) => byte ^ (MASK[i % 4] ?? 0)));
  return Buffer.concat([head, MASK, hidden]);
}
const code = (value: number) => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};
const SUBSCRIBE = '{"subscribe":"/Item/","omitCurrent":true}';

const CORPUS: Readonly<Record<string, Buffer>> = {
  'a reserved bit': frame(TEXT, '{}', { reserved: 1 }),
  'all reserved bits': frame(TEXT, '{}', { reserved: 7 }),
  'compression that was not agreed on': frame(TEXT, '{}', { reserved: 4 }),
  'a reserved data opcode': frame(3, '{}'),
  'a reserved control opcode': frame(11),
  'a continuation of nothing': frame(CONTINUATION, '{}'),
  'a message within a message': Buffer.concat([
    frame(TEXT, '{"subscribe":', { final: false }),
    frame(TEXT, '{}'),
  ]),
  'a control frame in pieces': frame(PING, 'x', { final: false }),
  'a control frame of 126 bytes': frame(PING, 'x'.repeat(126)),
  'text that is no UTF-8': frame(TEXT, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  'text that is cut within a character': frame(TEXT, Buffer.from([0xe2, 0x82])),
  'a close of one byte': frame(CLOSE, 'x'),
  'a close with a code that is none': frame(CLOSE, code(999)),
  'a close with a code that is never sent': frame(CLOSE, code(1005)),
  'a close whose reason is no UTF-8': frame(CLOSE, Buffer.concat([code(1000), Buffer.of(0xff)])),
  'a length beyond what there is': frame(BINARY, 'x', { length: 2n ** 63n }),
  'a message of a gigabyte': frame(TEXT, 'x', { length: 2n ** 30n }),
  'no frame at all': Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(40)),
};

describe.each(ENGINES)('frames of WebSockets over %s', (engine) => {
  let node: NodeProcess;
  let control: WebSocket;
  const heard: string[] = [];
  let serial = 0;
  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    control = new WebSocket(`${node.ws}/live`);
    control.on('message', (message) => heard.push(String(message)));
    await new Promise((resolve) => control.once('open', resolve));
    control.send(SUBSCRIBE);
  });
  afterAll(async () => {
    control?.terminate();
    await node?.dispose();
  });

  async function open(): Promise<RawConnection> {
    const connection = new RawConnection(node.http);
    const fields = [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    connection.send(`${headOf('GET /live', fields)}\r\n`);
    await until('the handshake', () => connection.text.includes('\r\n\r\n'));
    expect(connection.statuses).toEqual([101]);
    return connection;
  }

  /** Others are told of changes as ever. */
  async function expectUnharmed(): Promise<void> {
    serial += 1;
    const init = { method: 'PUT', headers: { 'content-type': 'application/json' } };
    const put = await node.fetch('/Item/1', { ...init, body: `{"n":${serial}}` });
    expect(put.ok).toBe(true);
    await until('the change', () => heard.some((text) => text.includes(`"n":${serial}`)));
    expect(control.readyState).toBe(WebSocket.OPEN);
  }

  it.each(Object.entries(CORPUS))('%s ends its connection, and no other', async (_, bytes) => {
    const connection = await open();
    connection.send(bytes);
    await until('the end', () => connection.ended);
    await expectUnharmed();
  });

  it.each(Object.entries(CORPUS))(
    '%s, byte by byte behind a sound frame, does too',
    async (_, bytes) => {
      const connection = await open();
      connection.send(frame(TEXT, SUBSCRIBE));
      for (const byte of bytes.subarray(0, 64)) connection.send(Buffer.of(byte));
      connection.send(bytes.subarray(64));
      await until('the end', () => connection.ended);
      await expectUnharmed();
    },
  );

  it('takes sound frames however they are cut, and pongs that nobody asked for', async () => {
    const connection = await open();
    const [first, ...rest] = SUBSCRIBE;
    connection.send(frame(PONG, 'unasked'));
    connection.send(frame(TEXT, first, { final: false }));
    connection.send(frame(PING, 'between'));
    for (const letter of rest) connection.send(frame(CONTINUATION, letter, { final: false }));
    for (const byte of frame(CONTINUATION)) connection.send(Buffer.of(byte));
    await until('an answer', () => connection.text.includes('between'));
    await expectUnharmed();
    await until('the change here too', () => connection.text.includes(`"n":${serial}`));
    connection.destroy();
  });

  it('ends a connection whose frames are not masked, where the engine can see it', async () => {
    const connection = await open();
    connection.send(frame(TEXT, '{"nonsense":1}', { masked: false }));
    // uWebSockets.js 20.30 reads on as if they were; SECURITY.md says so.
    if (engine === 'node') await until('the end', () => connection.ended);
    await expectUnharmed();
    connection.destroy();
  });
});
