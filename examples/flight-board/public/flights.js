/**
 * The flights as the browser knows them. Between two reports of a flight its place is computed from
 * its own speed; when a report disagrees, the drawn place glides over to it instead of jumping.
 */
const STEPS = 72;
const RADIANS = Math.PI / 180;
const GLIDE_MS = 700;
/** Simulated time; half a minute outside. */
const CLOCK_ERROR_MAX_MS = 1_800_000;

export class Flights {
  #byId = new Map();
  /** The simulated clock: what it showed at which moment, and how fast it runs. */
  #clock = { shown: 0, at: 0, pace: 60 };

  get all() {
    return this.#byId.values();
  }

  get size() {
    return this.#byId.size;
  }

  get(id) {
    return this.#byId.get(id);
  }

  /** The newest of a snapshot's rows tells the time; the others may have been told long ago. */
  setClock(states, now) {
    const shown = Math.max(...states.map((state) => Date.parse(state.observedAt)));
    if (states.length > 0) this.#clock = { shown, at: now, pace: states[0].pace };
  }

  /** A change is told as it happens. Far behind the clock, it says that the clock is wrong. */
  correctClock(state, now) {
    const shown = Date.parse(state.observedAt);
    const ahead = shown - this.simulatedNow(now);
    if (ahead > 0 || ahead < -CLOCK_ERROR_MAX_MS) {
      this.#clock = { shown, at: now, pace: state.pace };
    }
  }

  put(state, now) {
    const known = this.#byId.get(state.id);
    const observed = Date.parse(state.observedAt);
    const sameLeg = known !== undefined && known.state.departure === state.departure;
    const flight = sameLeg ? known : { shown: state.progress, arc: greatCircle(state.route) };
    flight.state = state;
    flight.at = now - Math.max(0, this.simulatedNow(now) - observed) / state.pace;
    flight.rate = progressRate(state);
    this.#byId.set(state.id, flight);
  }

  remove(id) {
    this.#byId.delete(id);
  }

  clear() {
    this.#byId.clear();
  }

  simulatedNow(now) {
    return this.#clock.shown + (now - this.#clock.at) * this.#clock.pace;
  }

  get pace() {
    return this.#clock.pace;
  }

  /** Moves every flight on; `elapsed` is the time since the last call. */
  advance(now, elapsed) {
    const glide = 1 - Math.exp(-elapsed / GLIDE_MS);
    for (const flight of this.#byId.values()) {
      const step = flight.rate * elapsed;
      const target = Math.min(1, flight.state.progress + flight.rate * (now - flight.at));
      flight.shown = Math.min(1, flight.shown + step);
      flight.shown += (target - flight.shown) * glide;
    }
  }
}

/** Share of the way that an airborne flight makes in a millisecond. */
function progressRate(state) {
  if (state.status !== 'airborne') return 0;
  const left = (Date.parse(state.arrival) - Date.parse(state.observedAt)) / state.pace;
  return left > 0 ? (1 - state.progress) / left : 0;
}

/** `STEPS + 1` places on the shortest way, as [longitude, latitude, …] in degrees. */
function greatCircle([fromLongitude, fromLatitude, toLongitude, toLatitude]) {
  const a = toVector(fromLongitude, fromLatitude);
  const b = toVector(toLongitude, toLatitude);
  const angle = Math.acos(Math.min(1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2]));
  const places = new Float32Array(2 * (STEPS + 1));
  for (let step = 0; step <= STEPS; step++) {
    const share = step / STEPS;
    const [near, far] = [Math.sin((1 - share) * angle), Math.sin(share * angle)];
    const [x, y, z] = [0, 1, 2].map((axis) => (a[axis] * near + b[axis] * far) / Math.sin(angle));
    places[2 * step] = Math.atan2(y, x) / RADIANS;
    places[2 * step + 1] = Math.atan2(z, Math.hypot(x, y)) / RADIANS;
  }
  return { places, screen: new Float32Array(places.length), version: -1 };
}

function toVector(longitude, latitude) {
  const level = Math.cos(latitude * RADIANS);
  return [
    level * Math.cos(longitude * RADIANS),
    level * Math.sin(longitude * RADIANS),
    Math.sin(latitude * RADIANS),
  ];
}
