/** Whether a renderer on this machine takes connections or, when it has a health path, is well. */
import { get } from 'node:http';
import { connect } from 'node:net';

const PROBE_MS = 2_000;
export const HOSTED_HOST = '127.0.0.1';

/** Never rejects. */
export function answersOn(port: number, path: string | undefined): Promise<boolean> {
  return path === undefined ? connects(port) : isWell(port, path);
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOSTED_HOST, port, timeout: PROBE_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

function isWell(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: HOSTED_HOST, port, path, agent: false, timeout: PROBE_MS });
    request.once('response', (response) => {
      response.resume();
      resolve((response.statusCode ?? 500) < 500);
      request.destroy();
    });
    request.once('timeout', () => request.destroy(new Error('timed out')));
    request.once('error', () => resolve(false));
  });
}
