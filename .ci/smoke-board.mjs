// The front door as a newcomer meets it: `npm start` in a clone brings up the flight board with its
// origin; the page, an airport and a moving flight arrive; SIGTERM ends it cleanly.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { check, finish, startNode } from './node-process.mjs';

const clone = process.argv[2] ?? process.cwd();
const LISTENING = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];
let node;

/** The addresses that the welcome shows to a person. */
function welcomed(output) {
  const http = /Open\s+(http:\/\/\S+?)\/?\s/.exec(output)?.[1];
  const admin = /(http:\/\/\S+)\/metrics/.exec(output)?.[1];
  return http === undefined || admin === undefined ? undefined : { http, admin };
}

/** The process which npm's shell started: a signal to npm alone would end the shell before it. */
function startScript(group) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const own = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group;
        return own && /node$/.test(words[0]) && /start\.js$/.test(words[1] ?? '');
      } catch {
        return false;
      }
    });
}

/** The first event of a stream whose data satisfies `accept`. */
async function firstEvent(url, accept, seconds) {
  const signal = AbortSignal.timeout(seconds * 1000);
  const reply = await fetch(url, { headers: { accept: 'text/event-stream' }, signal });
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get('content-type') ?? '', /^text\/event-stream/);
  let text = '';
  for await (const chunk of reply.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n').filter((line) => line.startsWith('data:'));
      if (lines.length === 0) continue;
      const event = JSON.parse(lines.map((line) => line.slice(5)).join('\n'));
      if (accept(event)) return event;
    }
  }
  throw new Error('the stream ended');
}

const started = await check('npm start shows where the board is', async () => {
  node = await startNode('npm', ['start', '--', ...LISTENING], {
    cwd: clone,
    seconds: 180,
    ready: welcomed,
  });
  assert.match(node.ready.http, /^http:\/\//);
});

if (started) {
  const app = node.ready.http;
  await check('the node serves the flight board page', async () => {
    const reply = await fetch(`${app}/`);
    assert.equal(reply.status, 200);
    assert.match(await reply.text(), /<html/i);
  });
  await check('an airport is fetched once and then served from the cache', async () => {
    const url = `${app}/Airport/SFO`;
    const first = await fetch(url);
    assert.equal(first.status, 200);
    assert.equal(typeof (await first.json()), 'object');
    const second = await fetch(url);
    await second.arrayBuffer();
    assert.match(second.headers.get('cache-status') ?? '', /hit/);
  });
  await check('a moving flight arrives by event stream', async () => {
    const kinds = ['put', 'patch', 'enter'];
    const event = await firstEvent(`${app}/Flight/`, (one) => kinds.includes(one.type), 20);
    assert.equal(event.table, 'Flight');
    assert.match(event.position, /^.+\.\d+$/);
  });
  await check('the admin port reports health and metrics', async () => {
    assert.equal((await fetch(`${node.ready.admin}/health/ready`)).status, 200);
    const live = await fetch(`${node.ready.admin}/health/live`);
    assert.equal(live.status, 200);
  });
  await check('SIGTERM ends it with exit code 0', async () => {
    const pid = startScript(node.child.pid);
    assert.ok(pid !== undefined, 'the start script runs');
    assert.equal(await node.stop('SIGTERM', 20, pid), 0, node.output.slice(-3000));
  });
  node.kill();
}
finish();
