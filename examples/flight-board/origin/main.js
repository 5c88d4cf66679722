/**
 * A stand-in for somebody else's service: a small airline with a REST interface and a stream of
 * changes, in one process of its own. It knows nothing of Millrace.
 *
 *   node origin/main.js        then   curl http://127.0.0.1:<port>/airports/SFO
 *
 * Environment: `PORT` (0: any free one), `SEED`, `FLIGHTS`, `PACE` (how much faster than the clock),
 * `STARTED_AT` (when the flights began, milliseconds since 1970), `LOG=requests`.
 * Prints `origin ready <address>` once it listens.
 */
import { createServer } from 'node:http';
import { loadAirports } from './airports.js';
import { restInterface } from './rest.js';
import { Simulation } from './simulation.js';
import { ChangeStream } from './stream.js';

const STEP_MS = 100;
const { PORT = '0', SEED = 'millrace', FLIGHTS = '120', PACE = '60' } = process.env;
const { STARTED_AT, LOG } = process.env;

const startedAt = Number(STARTED_AT ?? Date.now());
const airports = loadAirports();
const simulation = new Simulation(airports, {
  seed: SEED,
  flights: Number(FLIGHTS),
  pace: Number(PACE),
  startedAt,
});
const stream = new ChangeStream(() => simulation.flights, Date.now().toString(36));
const log = LOG === 'requests' ? (line) => console.log(line) : () => {};

const server = createServer(restInterface({ airports, simulation, stream, startedAt, log }));
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`origin ready http://127.0.0.1:${server.address().port}`);
});
const timer = setInterval(() => stream.publish(simulation.step(Date.now())), STEP_MS);

function stop() {
  clearInterval(timer);
  stream.close();
  // The channel to the parent would keep the process alive.
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
// The parent's end of this channel closes when the parent dies, however it dies.
process.on('disconnect', stop);
