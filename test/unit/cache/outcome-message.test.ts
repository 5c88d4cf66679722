/** What crosses threads keeps its meaning. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import { decodeOutcome, encodeOutcome } from '../../../src/cache/outcome-message.ts';
import { entryFields } from '../../../src/cache/plain-entry.ts';
import type { FlightOutcome } from '../../../src/cache/ports.ts';
import { makeEntry } from '../../support/entries.ts';

const across = (outcome: FlightOutcome) => decodeOutcome(structuredClone(encodeOutcome(outcome)));

describe('an outcome posted to another thread', () => {
  it('brings the whole entry, which owns its bytes', () => {
    const entry = makeEntry({ meta: { contentType: 'text/html', groups: ['g'] } });
    const sent = {
      kind: 'reply',
      entry,
      stored: true,
      shareable: false,
      originStatus: 304,
    } as const;
    const got = across(sent);
    if (got.kind !== 'reply') throw new Error('a reply stays a reply');
    expect(got).toMatchObject({ stored: true, shareable: false, originStatus: 304 });
    expect(entryFields(got.entry)).toEqual({
      ...entryFields(entry),
      body: new Uint8Array(entry.body),
    });
    expect(got.entry.contentType).toBe('text/html');
    expect(got.entry.retain()).toBe(got.entry);
  });

  it('brings a failure with its code, blame and details', () => {
    const options = { blame: 'origin', retry: 'later', details: { status: 503 } } as const;
    const error = new NodeError('ORIGIN_STATUS', 'answered 503', options);
    const got = across({ kind: 'failure', error });
    if (got.kind !== 'failure') throw new Error('a failure stays a failure');
    expect(got.error).toBeInstanceOf(NodeError);
    expect(got.error).toMatchObject({ code: 'ORIGIN_STATUS', message: 'answered 503', ...options });
  });
});
