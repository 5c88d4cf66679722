/** Problem documents: what they tell, and what they keep to themselves. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../../src/base/errors.ts';
import type { Exchange } from '../../../../src/protocols/http/port.ts';
import { problemDocument, replyProblem } from '../../../../src/protocols/http/problem.ts';

function replied(answer: (exchange: Exchange) => void) {
  let seen = { status: 0, headers: [] as readonly string[], body: '' };
  const exchange = {
    limitHit: () => undefined,
    reply: (status: number, headers: readonly string[], body: string) => {
      seen = { status, headers, body };
    },
  };
  answer(exchange as unknown as Exchange);
  return seen;
}

describe('problem documents', () => {
  it('carry type, title, status, code and detail [RFC9457 §3.1]', () => {
    const error = new NodeError('KEY_TOO_LONG', 'the key has 3000 bytes', { blame: 'client' });
    expect(problemDocument(error)).toEqual({
      type: 'urn:millrace:error:key-too-long',
      title: 'Key too long',
      limit: 'recordKeyBytesMax',
      status: 414,
      code: 'KEY_TOO_LONG',
      detail: 'the key has 3000 bytes (limits.recordKeyBytesMax of the node)',
    });
  });

  it('never tell what went wrong inside', () => {
    const error = new NodeError('INTERNAL', 'TypeError at /srv/secret.js', {
      cause: new Error('x'),
    });
    expect(JSON.stringify(problemDocument(error))).not.toContain('secret');
  });

  it('say when to come back', () => {
    const error = new NodeError('WRITE_QUEUE_FULL', 'full', {
      retry: 'later',
      details: { retryAfterSeconds: 2.2 },
    });
    const { status, headers } = replied((exchange) => replyProblem(exchange, error));
    expect(status).toBe(503);
    expect(headers[headers.indexOf('retry-after') + 1]).toBe('3');
  });

  it("give way to the caller's own fields", () => {
    const error = new NodeError('NOT_FOUND', 'none');
    const own = ['cache-control', 'max-age=5', 'cache-status', 'millrace; hit'];
    const { headers } = replied((exchange) => replyProblem(exchange, error, own));
    expect(headers.filter((text) => text === 'cache-control')).toHaveLength(1);
    expect(headers[headers.indexOf('cache-control') + 1]).toBe('max-age=5');
  });
});
