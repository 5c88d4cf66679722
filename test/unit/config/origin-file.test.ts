/** `origins/NAME.yaml`: what each key becomes, and that no text makes reading it throw. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import type { FeedSettings } from '../../../src/config/origin-feed.ts';
import { type OriginSettings, parseOrigin } from '../../../src/config/origin-file.ts';
import { formatProblem, ProblemList } from '../../../src/schema/problem.ts';

const substitutes = {
  env: { TOKEN: 'a"b: c', EMPTY: '' },
  readFile: (path: string) => (path === 'secret.txt' ? 'hidden\n' : undefined),
};

function read(text: string): { origin: OriginSettings | undefined; texts: readonly string[] } {
  const problems = new ProblemList();
  const origin = parseOrigin({ name: 'o', text, file: 'origins/o.yaml' }, substitutes, problems);
  return { origin, texts: problems.sorted().map(formatProblem) };
}

function originOf(text: string): OriginSettings {
  const { origin, texts } = read(text);
  expect(texts).toEqual([]);
  return must(origin, 'origin');
}

const HTTP = 'kind: http\nurl: https://api.example.com\n';

const feedOf = (text: string): FeedSettings => must(originOf(HTTP + text).feed, 'feed');

describe('variables in values', () => {
  const headerOf = (value: string) => originOf(`${HTTP}headers: { x: '${value}' }`).headers.x;
  const $ = '$';

  it('come from the environment, and cannot add structure to the file', () => {
    expect(headerOf(`Bearer ${$}{env.TOKEN}`)).toBe('Bearer a"b: c');
  });

  it('have a default, which an empty variable does not use', () => {
    expect(headerOf(`${$}{env.NOTHING:-gold}`)).toBe('gold');
    expect(headerOf(`${$}{env.EMPTY:-gold}`)).toBe('');
  });

  it('come from files, without the line break at the end', () => {
    expect(headerOf(`${$}{file:secret.txt}`)).toBe('hidden');
  });

  it('are not looked for in what was filled in, nor after $$', () => {
    expect(headerOf(`${$}${$}{env.TOKEN}`)).toBe(`${$}{env.TOKEN}`);
  });

  it('cannot break out of a header', () => {
    expect(read(`${HTTP}headers: { x: "a\\r\\nb" }`).texts).toHaveLength(1);
  });
});

describe('a feed', () => {
  it('streams by Server-Sent Events unless it says otherwise', () => {
    expect(feedOf('feed: { path: /stream, id: $.id }')).toMatchObject({
      kind: 'sse',
      value: [],
      event: { kind: 'fixed', event: 'put' },
    });
  });

  it('is of the kind of its origin where that can stream', () => {
    const origin = originOf('kind: mqtt\nurl: mqtt://broker:1883\nfeed: { id: $.id, topic: a/# }');
    expect(origin.feed).toMatchObject({ kind: 'mqtt', options: { topic: 'a/#' } });
  });

  it('says what its events mean: always the same, by a place, by name, or by a map', () => {
    expect(feedOf('feed: { id: $.id, event: delete }').event).toEqual({
      kind: 'fixed',
      event: 'delete',
    });
    expect(feedOf('feed: { id: $.id, event: $.type }').event).toEqual({
      kind: 'read',
      from: ['type'],
      map: {},
    });
    expect(feedOf('feed: { id: $.id, event: name }').event).toMatchObject({ from: 'name' });
    expect(feedOf('feed: { id: $.id, event: { from: /op, map: { u: put } } }').event).toEqual({
      kind: 'read',
      from: ['op'],
      map: { u: 'put' },
    });
  });

  it('needs no id when it only invalidates', () => {
    expect(feedOf('feed: { event: invalidate, group: $.tag }').group).toEqual(['tag']);
  });

  it.each([
    'feed: { event: put }',
    'feed: { id: id }',
    'feed: { id: $.id, event: { map: { u: put } } }',
    'feed: { id: $.id, event: { from: $.a, map: { u: puts } } }',
    'feed: { id: $.id, kind: http }',
    'feed: { id: $.id, pth: /x }',
  ])('is refused: %s', (text) => {
    expect(read(HTTP + text).texts).toHaveLength(1);
  });
});

describe('settings of one kind only', () => {
  it('are handed through to that kind', () => {
    const origin = originOf('kind: nats\nurl: nats://a:4222\nsubject: x.>\noptions: { deep: 1 }');
    expect(origin.options).toEqual({ subject: 'x.>', deep: 1 });
  });

  it('are refused for another, with the kind they belong to', () => {
    expect(read(`${HTTP}table: a`).texts[0]).toContain('postgres');
  });
});

describe('an origin in code with settings', () => {
  it('names its file and needs no url', () => {
    expect(originOf('kind: module\nmodule: ./scores.ts\ntimeout: 1s')).toMatchObject({
      module: './scores.ts',
      timeoutMs: 1_000,
    });
    expect(read('kind: module').texts).toHaveLength(1);
  });
});

describe('whatever the text', () => {
  it('never throws, and either yields an origin or says why not', () => {
    const line = fc.constantFrom(
      'kind: http',
      'kind: [',
      'url: https://a.example',
      'url: ::',
      'feed: *x',
      'feed: &x { id: *x }',
      '  - a: b',
      '? complex',
      '"quoted": !!binary x',
      'headers: { a: ~ }',
      '---',
      '\t',
      'breaker: 7',
      '<<: *x',
      'options: { a: [ { b: 1 } ] }',
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const { origin, texts } = read(lines.join('\n'));
        expect(origin !== undefined || texts.length > 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('url', () => {
  it('may be a list of replicas, each with a weight', () => {
    const text =
      'kind: http\nurl: [http://a:1/x, { url: "http://b:2/x", weight: 3 }]\nbalance: key';
    expect(originOf(text)).toMatchObject({
      url: 'http://a:1/x',
      balance: 'key',
      ejection: { failures: 3, cooldownMs: 10_000 },
      replicas: [
        { url: 'http://a:1/x', weight: 1 },
        { url: 'http://b:2/x', weight: 3 },
      ],
    });
    expect(originOf(HTTP).replicas).toBeUndefined();
    expect(originOf('kind: http\nurl: [https://a]').replicas).toBeUndefined();
  });

  it.each([
    ['no list', 'url: []', 'at least one URL'],
    ['another path', 'url: [http://a/x, http://b/y]', 'the scheme and path of http://a/x'],
    ['another scheme', 'url: [http://a, https://b]', 'the scheme and path of http://a'],
    ['one twice', 'url: [http://a, http://a/]', 'every replica once'],
    ['no weight', 'url: [{ url: "http://a", weight: 0 }]', 'a whole number from 1'],
    ['weight alone', 'url: [{ weight: 2 }]', '{ url: URL, weight: N }'],
    ['no URL', 'url: [shop]', 'a whole URL'],
  ])('is refused with %s', (_, text, cure) => {
    expect(read(`kind: http\n${text}`).texts.join()).toContain(cure);
  });

  it('is one for kinds without replicas', () => {
    expect(read('kind: sse\nurl: [http://a, http://b]').texts.join()).toContain('takes one url');
  });
});
