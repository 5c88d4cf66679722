/** What a method returns or throws, as the answer that it means. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import { toAnswer } from '../../../src/resource/answer.ts';
import { failureOf } from '../../../src/resource/failure.ts';

const shape = (result: unknown, isRead = true) => {
  const { status, headers, body } = toAnswer(result, isRead);
  return { status, type: headers.get('content-type'), body };
};

describe('an answer', () => {
  it.each([
    ['nothing read', undefined, true, 404, 'none'],
    ['nothing written', undefined, false, 204, 'none'],
    ['a record', { id: 1 }, true, 200, 'json'],
    ['a list', [1, 2], true, 200, 'json'],
    ['a text', 'hi', true, 200, 'json'],
    ['bytes', new Uint8Array([1]), true, 200, 'bytes'],
    ['a status with fields', { status: 201, headers: { a: 'b' } }, false, 201, 'none'],
    ['a status with content', { status: 202, data: { n: 1 } }, false, 202, 'json'],
    ['a record with a status of its own', { status: 3, id: 'x' }, true, 200, 'json'],
    ['a record of nothing but a status', { status: 500 }, true, 200, 'json'],
    ['a set', new Set([1]), true, 200, 'rows'],
  ])('is made of %s', (_, result, isRead, status, kind) => {
    const answer = shape(result, isRead);
    expect([answer.status, answer.body.kind]).toEqual([status, kind]);
  });

  it('sends a text with a type of its own as it is', () => {
    expect(shape({ contentType: 'text/html', data: '<p>' })).toEqual({
      status: 200,
      type: 'text/html',
      body: { kind: 'bytes', bytes: '<p>' },
    });
    const json = { status: 200, headers: { 'content-type': 'application/hal+json' }, data: 'x' };
    expect(shape(json).body).toEqual({ kind: 'json', value: 'x' });
  });

  it('drops what belongs to the connection of a fetched reply', () => {
    const headers = { connection: 'close', 'content-length': '2', 'x-kept': '1' };
    const answer = toAnswer(new Response('hi', { headers }), true);
    expect([...answer.headers.keys()].sort()).toEqual(['content-type', 'x-kept']);
  });

  it.each([
    { status: 99, data: 1 },
    { status: 700, data: 1 },
    { status: 1.5, data: 1 },
  ])('refuses the status of %j', (result) =>
    expect(() => toAnswer(result, true)).toThrow(TypeError),
  );
});

describe('a failure', () => {
  it.each([
    ['statusCode', { statusCode: 409, message: 'taken' }, 409, 'taken'],
    ['status', Object.assign(new Error('gone'), { status: 410 }), 410, 'gone'],
  ])('with a %s is an answer', (_, thrown, status, message) => {
    const failure = failureOf(thrown);
    expect([failure.status, failure.error.message, failure.isFault]).toEqual([
      status,
      message,
      false,
    ]);
  });

  it.each([new Error('oops'), 'oops', undefined, { statusCode: 200, message: 'x' }])(
    'without one is a fault: %s',
    (thrown) => {
      const { error, isFault } = failureOf(thrown);
      expect([error.code, isFault]).toEqual(['INTERNAL', true]);
    },
  );

  it('of a table keeps its code', () => {
    const thrown = new NodeError('RECORD_INVALID', 'no', { blame: 'client' });
    expect(failureOf(thrown)).toEqual({ error: thrown, status: undefined, isFault: false });
  });
});
