/** The parser of event streams against the standard's own examples and another implementation. */
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config/limits.ts';
import { EventStreamParser, type StreamEvent } from '../../../src/origin/event-stream.ts';
import { failureOf } from '../../support/origins.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function parse(chunks: readonly Uint8Array[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = new EventStreamParser({ event: (event) => events.push(event) });
  for (const chunk of chunks) parser.push(chunk);
  return events;
}

const contents = (text: string): string[] => parse([bytes(text)]).map((event) => event.content);

describe('an event stream [HTML §9.2.6]', () => {
  it('joins the lines of one event', () => {
    expect(contents('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual(['YHOO\n+2\n10']);
  });

  it('keeps the last id, resets it with an empty one, ignores one with a NUL', () => {
    const text = ': c\n\ndata: a\nid: 1\n\ndata:b\nid\n\ndata:  c\nid: x\0\n\n';
    expect(parse([bytes(text)])).toEqual([
      { name: 'message', content: 'a', lastEventId: '1' },
      { name: 'message', content: 'b', lastEventId: '' },
      { name: 'message', content: ' c', lastEventId: '' },
    ]);
  });

  it('dispatches empty data lines, and nothing for an event without data', () => {
    expect(contents('data\n\ndata\ndata\n\ndata:')).toEqual(['', '\n']);
    expect(contents('event: x\nid: 4\n\n')).toEqual([]);
  });

  it('carries an id seen without data on to the next event', () => {
    expect(parse([bytes('id: 4\n\ndata: a\n\n')])[0]?.lastEventId).toBe('4');
  });

  it('drops a byte order mark at the very beginning only', () => {
    expect(contents('\ufeffdata: a\n\n\ufeffdata: b\n\n')).toEqual(['a']);
  });

  it('takes CR, LF and CRLF as line ends, wherever the chunks are cut', () => {
    const text = 'data: a\r\n\r\ndata: b\r\rdata: c\n\nevent: n\r\ndata: é\u2028x\rid: 7\n\r\n';
    const whole = bytes(text);
    const expected = parse([whole]);
    expect(expected.map((event) => event.content)).toEqual(['a', 'b', 'c', 'é\u2028x']);
    for (let cut = 1; cut < whole.length; cut += 1) {
      expect(parse([whole.subarray(0, cut), whole.subarray(cut)])).toEqual(expected);
    }
    expect(parse([...whole].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it('reads the reconnection time from digits only', () => {
    const times: number[] = [];
    const parser = new EventStreamParser({ event: () => {}, retry: (ms) => times.push(ms) });
    parser.push(bytes('retry: 2500\nretry: 1s\nretry:\nretry: -1\n\n'));
    expect(times).toEqual([2500]);
  });

  it('agrees with another implementation on streams of any shape', () => {
    const line = fc.oneof(
      fc.constantFrom(
        '',
        '',
        'data',
        'data:',
        ': comment',
        'event: put',
        'id: 9',
        'id',
        'nonsense',
      ),
      fc.string({ maxLength: 8 }).map((text) => `data: ${text.replace(/[\r\n\0]/g, '')}`),
      fc.string({ maxLength: 8 }).map((text) => `id:${text.replace(/[\r\n\0]/g, '')}`),
    );
    const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n')), { maxLength: 30 });
    fc.assert(
      fc.property(stream, fc.nat(), (lines, at) => {
        const text = lines.map(([content, end]) => content + end).join('');
        const expected: string[] = [];
        createParser({ onEvent: (event) => expected.push(`${event.event} ${event.data}`) }).feed(
          text,
        );
        const all = bytes(text);
        const cut = all.length === 0 ? 0 : at % all.length;
        const found = parse([all.subarray(0, cut), all.subarray(cut)]);
        const named = found.map(
          ({ name, content }) => `${name === 'message' ? undefined : name} ${content}`,
        );
        expect(named).toEqual(expected);
      }),
    );
  });

  for (const [what, text] of [
    ['a line', 'x'.repeat(LIMITS.feedLineBytesMax + 1)],
    ['an event', `data: ${'x'.repeat(LIMITS.feedLineBytesMax - 100)}\n`.repeat(5)],
  ] as const) {
    it(`refuses ${what} above its limit`, async () => {
      const error = await failureOf(Promise.resolve().then(() => parse([bytes(text)])));
      expect(error.code).toBe('ORIGIN_BODY_TOO_LARGE');
    });
  }
});
