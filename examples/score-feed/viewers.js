/**
 * Simulated viewers of the scoreboard: each is a client of its own, on a socket of its own, that
 * follows what the page follows. Says every two seconds how many incidents they hear of and how late;
 * at the end every one of them has to hold exactly the matches that the node holds.
 *
 *   node viewers.js [address] [--viewers 2000] [--seconds 20]
 */
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { connect } from '../../dist/client/client.js'; // elsewhere: 'millrace/client'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    viewers: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '20' },
  },
});
const url = positionals[0] ?? 'http://127.0.0.1:9926';
const count = Number(values.viewers);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let events = 0;
let delays = [];
const viewers = [];

function view() {
  const live = connect({ url, WebSocket });
  const matches = live.query('/Match/');
  live.subscribe(
    '/Incident/',
    ({ at }) => {
      events += 1;
      if (delays.length < 100_000) delays.push(Date.now() - at);
    },
    { omitCurrent: true },
  );
  viewers.push({ live, matches });
}

const share = (list, part) => list[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0;

function report(seconds) {
  const open = viewers.filter(({ matches }) => matches.status === 'live').length;
  const late = delays.sort((a, b) => a - b);
  const rate = Math.round(events / seconds);
  console.log(
    `${open} of ${count} live, ${rate} incidents/s; late by p50 ${share(late, 0.5)} ms, ` +
      `p99 ${share(late, 0.99)} ms`,
  );
  events = 0;
  delays = [];
}

// A few at a time, as a crowd would come.
while (viewers.length < count) {
  for (let i = 0; i < 100 && viewers.length < count; i += 1) view();
  await pause(50);
}
for (let second = 0; second < Number(values.seconds); second += 2) {
  await pause(2_000);
  report(2);
}

/** The rows of all viewers, and of the node, once nothing is on its way any more. */
async function differing() {
  const told = await (await fetch(`${url}/Match/?limit(1000)`)).json();
  const byId = (rows) => JSON.stringify([...rows].sort((a, b) => (a.id < b.id ? -1 : 1)));
  const wanted = byId(told);
  return viewers.filter(({ matches }) => byId(matches.rows) !== wanted).length;
}
let wrong = count;
for (let tries = 0; tries < 50 && wrong > 0; tries += 1) {
  wrong = await differing();
  if (wrong > 0) await pause(50);
}
for (const { live } of viewers) live.close();
console.log(wrong === 0 ? 'all viewers hold what the node holds' : `${wrong} viewers differ`);
process.exitCode = wrong === 0 ? 0 : 1;
