/**
 * Requests that two parsers could read differently, after the lists that those who smuggle requests
 * are known by, and requests whose body is read by nobody. Data only: `c082-framing-corpus` sends
 * them.
 */
/** What stands between the request line and the empty line, and what follows; all ambiguous. */
export interface FramingCase {
  readonly line?: string;
  readonly fields: readonly string[];
  readonly body?: string;
}

export const HOST = 'Host: node.test';
const LF_BODY = '1\na\n0\n\n';

const lengths = [
  ...[
    '+5',
    '-1',
    '0x5',
    '5 5',
    '5,5',
    '5, 6',
    '5;',
    '5.0',
    '1e1',
    '٣',
    '',
    ' ',
    '99999999999999999999',
  ],
  ...['05\u000b', '5\u0000', 'five', '0, 0', '"5"', '5abc', '００'],
];
const encodings = [
  ...['xchunked', 'identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', ''],
  ...['chunked;q=1', '"chunked"', 'chunked\u0000', 'chunk', 'chunkedd', ',chunked', 'chunked,'],
  ...['\u000bchunked', 'chunked\u000b', 'cow', 'deflate', 'trailers', 'identity, chunked'],
];
const chunks = [
  ...['5\r\nabc\r\n0\r\n\r\n', 'g\r\na\r\n0\r\n\r\n', '-1\r\na\r\n0\r\n\r\n', '1\r\naXX0\r\n\r\n'],
  ...[
    '0x1\r\na\r\n0\r\n\r\n',
    '1 \r\na\r\n0\r\n\r\n',
    ' 1\r\na\r\n0\r\n\r\n',
    '\r\n1\r\na\r\n0\r\n\r\n',
  ],
  ...[
    'ffffffffffffffff1\r\na\r\n',
    '1\ra\r\n0\r\n\r\n',
    '1\r\na\n0\r\n\r\n',
    LF_BODY,
    '+1\r\na\r\n0\r\n\r\n',
  ],
  ...[
    '1\r\na\r\n0\r\nX\r\n\r\n',
    '00000000000000000000000001\r\naXX',
    '1;\u0000\r\na\r\n0\r\n\r\n',
  ],
];
const smugglers: readonly FramingCase[] = [
  ...lengths.map((value) => ({ fields: [HOST, `Content-Length: ${value}`] })),
  ...lengths.map((value) => ({ fields: [HOST, 'Content-Length: 0', `Content-Length: ${value}`] })),
  ...lengths.map((value) => ({ fields: [HOST, `Content-Length: ${value}`, 'Content-Length: 0'] })),
  ...encodings.map((value) => ({
    fields: [HOST, `Transfer-Encoding: ${value}`],
    body: '0\r\n\r\n',
  })),
  ...encodings.map((value) => ({
    fields: [HOST, 'Content-Length: 5', `Transfer-Encoding: ${value}`],
    body: '0\r\n\r\n',
  })),
  ...encodings.map((value) => ({
    fields: [HOST, `Transfer-Encoding: ${value}`, 'Transfer-Encoding: chunked'],
    body: '0\r\n\r\n',
  })),
  ...['Content-Length', 'content-length', 'CONTENT-LENGTH'].flatMap((name) => [
    { fields: [HOST, `${name}: 0`, 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' },
    { fields: [HOST, 'Transfer-Encoding: chunked', `${name}: 0`], body: '0\r\n\r\n' },
    { fields: [HOST, `${name} : 0`] },
    { fields: [HOST, ` ${name}: 0`] },
    { fields: [HOST, `${name}\t: 0`] },
    { fields: [HOST, `${name}: 0`, `${name}: 0`] },
    { fields: [HOST, `${name}: 0\r\n 5`] },
    { fields: [HOST, `X: y\r\n ${name}: 5`] },
  ]),
  ...chunks.map((body) => ({ fields: [HOST, 'Transfer-Encoding: chunked'], body })),
];

const heads: readonly FramingCase[] = [
  ...[
    [],
    [HOST, HOST],
    [HOST, 'host: other.test'],
    ['Host: a/b'],
    ['Host: u@a'],
    ['Host: a b'],
  ].map((fields) => ({ fields })),
  ...[
    ': empty',
    'a b: c',
    'a\u0000b: c',
    'a(b): c',
    'X: a\u0000b',
    'no-colon',
    '"q": c',
    'é: c',
  ].map((field) => ({ fields: [HOST, field] })),
  ...['X: a\r\n folded', 'X:\r\n\tfolded', 'X: a\rb', 'X: a\nContent-Length : 5'].map((field) => ({
    fields: [HOST, field],
  })),
  ...['Expect: 200-ok', 'Expect: 100-continue, x'].map((field) => ({
    fields: [HOST, field, 'Content-Length: 0'],
  })),
  ...['Content-Length: 3', 'Transfer-Encoding: chunked'].map((field) => ({
    line: 'GET /Item/1',
    fields: [HOST, field],
    body: 'abc',
  })),
  ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 ', 'http/1.1', 'HTTP/1', 'HTTQ/1.1', ''].map(
    (version) => ({ line: `POST /Item/ ${version}|`, fields: [HOST] }),
  ),
  ...['POST\t/Item/', ' POST /Item/', 'PO ST /Item/', 'POST /It\u0000em/', 'POST'].map((line) => ({
    line,
    fields: [HOST],
  })),
];

/** Spellings of the framing fields that smugglers are known by, for each way to combine them. */
const hiddenEncodings = [
  ...['Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked', ' Transfer-Encoding: chunked'],
  ...[
    '\tTransfer-Encoding: chunked',
    'Transfer-Encoding:\r\n chunked',
    'X: y\nTransfer-Encoding: chunked',
  ],
  ...[
    'Transfer-Encoding:\n chunked',
    'X: y\rTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\rX: y',
  ],
  ...[
    'Transfer-Encoding\u0000: chunked',
    'Transfer-Encoding\u000b: chunked',
    'Transfer-Encoding\u00a0: chunked',
  ],
  ...[
    'Transfer-Encoding: \u00a0chunked',
    'Transfer-Encoding: chunked \r\n\tx',
    'Transfer-Encoding: "chunked',
  ],
  ...['Transfer-Encoding: x\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: \u0000chunked'],
  ...['Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'],
  ...['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 'Transfer-Encoding:'],
];
const hiddenLengths = [
  ...['+0', '-0', '0x0', '0 ,0', '0\t0', '00 0', '0;', '0.', '.0', '0e0', '0_0', '1,0', '\u000b0'],
  ...['18446744073709551616', '18446744073709551621', '9223372036854775808', '0\u0000', '\u00000'],
  ...['0\r\n ,0', '0\r 5', '0\nX: y', '0\u000b', '\u00a00', '0\u00a0', '\u00e90'],
];
const hiddenChunks = [
  ...['10000000000000000\r\nab', '10000000000000001\r\na\r\n0\r\n\r\n'],
  ...['1_\r\na\r\n0\r\n\r\n'],
  ...['1\t\r\na\r\n0\r\n\r\n', '\t1\r\na\r\n0\r\n\r\n', '1\r\na\r\n0\n\r\n'],
  ...['1\r\na\r\n0\r\n\n', '1\n\ra\r\n0\r\n\r\n', '1\r\n\na\r\n0\r\n\r\n', '0\r\n\rX'],
  ...['1;a\nb\r\na\r\n0\r\n\r\n', '1;a\rb\r\na\r\n0\r\n\r\n', '1 \u000b\r\na\r\n0\r\n\r\n'],
  ...['1\r\na0\r\n\r\n', '1\r\nab\r\n0\r\n\r\n', '2\r\na\r\n0\r\n\r\n', ';\r\n0\r\n\r\n'],
  ...['-0\r\n\r\n', '+0\r\n\r\n', '0x0\r\n\r\n', `1;${'a'.repeat(70_000)}\r\na\r\n0\r\n\r\n`],
  ...[': x', ' folded', 'X : y', 'X: a\u0000b', 'X: a\nY: b', `X: ${'y'.repeat(70_000)}`].map(
    (trailer) => `1\r\na\r\n0\r\n${trailer}\r\n\r\n`,
  ),
];
const hiddenHosts = [
  ...[
    'Host: [::1',
    'Host: a\u0000',
    'Host: a#b',
    'Host: a?b',
    'Host: a\\b',
    'Host: a\tb',
    'Host: ::',
  ],
  ...['Host : a', 'Host: a\r\nHost:', 'Host: a\r\n b', 'Host: a<b', 'Host: a"b', 'Host: http://a'],
  ...['Host\u0000: a', 'Host: a\r\nHOST: a', 'Host: a:b', 'Host: a:80:80', 'Host: a:999999'],
  ...['Host: %zz', 'Host: a%00b', 'Host: a%0d%0ab', 'Host: []', 'Host: ::1', 'Host: a, b'],
];
const hiddenLines = [
  ...['GET /Item/1\r\n|', 'POST /Item/\r\n|', 'GET /Item/1\tHTTP/1.1|', 'GET /Item/1 HTTP/1.1\t|'],
  ...[
    'GET /Item/1 HTTP/01.1|',
    'GET /Item/1 HTTP/1.10|',
    'GET /Item/1 HTTP/11|',
    'GET /Item/1 HTTP /1.1|',
  ],
  ...[
    'GET Item/1',
    'GET /Item/ 1',
    'GET /Item/\u00011',
    'G\u0000ET /Item/1',
    'GET\r /Item/1',
    'GE\nT /Item/1',
  ],
  ...['GET /Item/1\n HTTP/1.1|', 'PRI * HTTP/2.0|', 'CONNECT a:80', 'get /Item/', '"GET" /Item/1'],
  ...[`GET /${'a'.repeat(65_536)}`, `${'A'.repeat(65_536)} /`],
];
const hiddenFields = [
  ...['X:\u0000', 'X: \u0001', 'X\u0001: a', 'X\u007f: a', '\u0000: a', 'X;: a', 'X{}: a', '@x: a'],
  ...[
    'X: a\r\n\r: b',
    'X=1',
    '\r: x',
    'X: a\r\r\n',
    '=: ',
    'Content-Length\u000b: 0',
    'Content-Length\u0000: 0',
  ],
];
const known: readonly FramingCase[] = [
  ...hiddenEncodings.flatMap((field) => [
    { fields: [HOST, field], body: '0\r\n\r\n' },
    { fields: [HOST, 'Content-Length: 5', field], body: '0\r\n\r\n' },
    { fields: [HOST, field, 'Content-Length: 4'], body: '5c\r\n' },
  ]),
  ...hiddenLengths.map((value) => ({ fields: [HOST, `Content-Length: ${value}`] })),
  ...hiddenChunks.map((body) => ({ fields: [HOST, 'Transfer-Encoding: chunked'], body })),
  ...hiddenHosts.map((field) => ({ fields: [field, 'Content-Length: 0'] })),
  ...hiddenLines.map((line) => ({ line, fields: [HOST, 'Content-Length: 0'] })),
  ...hiddenFields.map((field) => ({ fields: [HOST, field, 'Content-Length: 0'] })),
  // A message of HTTP/1.0 with Transfer-Encoding is faulty, whatever else it says [RFC9112 §6.1].
  ...[[], ['Content-Length: 5'], ['Connection: keep-alive']].map((fields) => ({
    line: 'POST /Item/ HTTP/1.0|',
    fields: [HOST, ...fields, 'Transfer-Encoding: chunked'],
    body: '0\r\n\r\n',
  })),
];

export const framingCorpus: readonly FramingCase[] = [...smugglers, ...heads, ...known];

/**
 * Of what the JavaScript side of uWS 20.30 cannot see: a field without a name ends the head, and
 * bytes above 0x7f around a value are cut off like spaces.
 */
export const unseenByUws = ({ fields }: FramingCase): boolean =>
  fields.includes(': empty') ||
  fields.some((field) => /^Content-Length: (?:[\u0080-\u00ff]\d|\d[\u0080-\u00ff])$/.test(field));

const withBodies = {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE', 'TRACE', 'FOO'],
  targets: ['/Item/1', '/Item/', '/form', '/openapi.json', '/live', '/Item/%zz', '/Item/?bad=('],
  fields: [
    [],
    ['Expect: 100-continue'],
    ['Origin: http://other.test', 'Access-Control-Request-Method: PUT'],
    ['Content-Type: text/csv', 'If-Match: "x"'],
    ['Connection: Content-Length, Host', 'Authorization: Basic eDp5'],
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ'],
    [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ],
  ],
};

/** Requests with a body of known length, whose answer comes early in one place or another. */
export const requestsWithBodies: readonly FramingCase[] = withBodies.methods.flatMap((method) =>
  withBodies.targets.flatMap((target) =>
    withBodies.fields.map((fields) => ({ line: `${method} ${target}`, fields: [HOST, ...fields] })),
  ),
);
