/** How a session of HTTP/2 ends on which nothing moves, whatever was asked for on it. */
import http2 from 'node:http2';
import net from 'node:net';
import { expect, it } from 'vitest';
import { LIMIT_DEFAULTS } from '../../../../src/config/limits.ts';
import { Http2Side } from '../../../../src/protocols/http/node/http2-server.ts';
import { until } from '../../../support/node-process.ts';

it('cuts a connection on which nothing moves, also when an answer never comes', async () => {
  const side = new Http2Side({
    limits: { ...LIMIT_DEFAULTS, idleTimeoutSeconds: 0.2 },
    serve: () => undefined,
    limitHit: () => undefined,
  });
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    side.take(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const ended = new Promise((resolve) => session.once('close', resolve));
  const stream = session.request({ ':path': '/' });
  for (const one of [session, stream]) one.on('error', () => undefined);
  await until('the session to be opened', () => open.size === 1);
  await ended;
  await until('the connection to be cut', () => open.size === 0);
  expect(session.destroyed).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});
