/**
 * The airline: some 120 aircraft, each shuttling between a hub and another airport, hour after hour.
 * Time runs `pace` times as fast as outside, so that a flight takes minutes.
 *
 *   boarding ──► taxiing ──► airborne ──► landed ──► (the way back) boarding
 *      └► delayed ─┘
 *
 * `step(now)` moves everything to `now` and returns the flights which are worth telling about: those
 * whose status changed, and every airborne one about every `REPORT_MS`. Positions are a function of
 * the leg's own times, so nothing drifts, and with the same seed and start the same flights are flown, even by an
 * origin that died and came back.
 */
import { bearing, distanceKm, placeAlong } from './great-circle.js';
import { pick, randomFrom } from './random.js';

const REPORT_MS = 2_600;
const MINUTE = 60_000;
const FIVE_MINUTES = 5 * MINUTE;
const CRUISE_KMH = 880;
/** Share of a flight spent climbing, and as much descending, is this distance over its length. */
const CLIMB_KM = 220;

const CARRIERS = [
  ['HY', 'Halcyon'],
  ['MW', 'Meridian West'],
  ['NL', 'Northern Light'],
  ['OX', 'Oxbow Air'],
  ['PT', 'Petrel'],
  ['SV', 'Silverwing'],
];

export class Simulation {
  #airports;
  #aircraft = [];
  #pace;
  #startedAt;

  /** `startedAt` is the outside clock when the simulation began, milliseconds since 1970. */
  constructor(airports, { seed, flights, pace, startedAt }) {
    this.#airports = airports;
    this.#pace = pace;
    this.#startedAt = startedAt;
    const hubs = [...airports.values()].filter((airport) => airport.hub);
    for (let index = 0; index < flights; index++) {
      this.#aircraft.push(this.#commission(seed, index, hubs[index % hubs.length]));
    }
    this.step(Date.now());
  }

  get flights() {
    return this.#aircraft.map((aircraft) => aircraft.state);
  }

  flight(id) {
    return this.#aircraft.find((aircraft) => aircraft.id === id)?.state;
  }

  /** The time it is in the simulated world. */
  simulatedAt(now) {
    return this.#startedAt + (now - this.#startedAt) * this.#pace;
  }

  step(now) {
    const at = this.simulatedAt(now);
    const told = [];
    for (const aircraft of this.#aircraft) {
      while (at >= aircraft.leg.endsAt) this.#turnRound(aircraft);
      const status = statusOf(aircraft.leg, at);
      const changed = status !== aircraft.state?.status || aircraft.leg !== aircraft.toldLeg;
      const due = status === 'airborne' && now >= aircraft.reportAt;
      if (!changed && !due) continue;
      aircraft.state = this.#describe(aircraft, status, at);
      aircraft.toldLeg = aircraft.leg;
      aircraft.reportAt = now + REPORT_MS * (0.8 + Math.random() * 0.4);
      told.push(aircraft.state);
    }
    return told;
  }

  #commission(seed, index, hub) {
    const random = randomFrom(`${seed}/${index}`);
    const [code, carrier] = CARRIERS[index % CARRIERS.length];
    const away = this.#destination(hub, random);
    const [from, to] = random() < 0.62 ? [hub, away] : [away, hub];
    const id = `${code}${100 + index * 7 + Math.floor(random() * 7)}`;
    const aircraft = { id, carrier, random, state: undefined, toldLeg: undefined, reportAt: 0 };
    aircraft.leg = newLeg(from, to, random, this.#startedAt);
    // Most are caught somewhere on their way, so that the first screen is not all boarding.
    const length = aircraft.leg.endsAt - aircraft.leg.opensAt;
    shift(aircraft.leg, -length * random());
    return aircraft;
  }

  #destination(hub, random) {
    const airports = [...this.#airports.values()];
    const hubs = airports.filter((airport) => airport.hub && airport !== hub);
    if (random() < 0.4) return pick(random, hubs);
    const start = [hub.longitude, hub.latitude];
    for (;;) {
      const other = pick(random, airports);
      const length = distanceKm(start, [other.longitude, other.latitude]);
      // Two of three stay within half a continent; nobody flies what no aircraft can.
      if (length > 500 && length < (random() < 0.66 ? 5_500 : 14_500)) return other;
    }
  }

  #turnRound(aircraft) {
    const { from, to, endsAt } = aircraft.leg;
    aircraft.leg = newLeg(to, from, aircraft.random, endsAt);
  }

  #describe(aircraft, status, at) {
    const { leg } = aircraft;
    const progress = clamp((at - leg.offAt) / (leg.onAt - leg.offAt));
    const [longitude, latitude] = placeAlong(leg.start, leg.end, progress);
    const ahead = placeAlong(leg.start, leg.end, Math.min(1, progress + 0.002));
    const air = airData(leg, progress, status);
    const scheduledAt = Math.floor(leg.scheduledAt / FIVE_MINUTES) * FIVE_MINUTES;
    return {
      id: aircraft.id,
      carrier: aircraft.carrier,
      from: leg.from.id,
      to: leg.to.id,
      fromCity: leg.from.city,
      toCity: leg.to.city,
      status,
      gate: leg.gate,
      scheduledDeparture: new Date(scheduledAt).toISOString(),
      departure: new Date(leg.outAt).toISOString(),
      arrival: new Date(leg.onAt).toISOString(),
      delayMinutes: at < leg.delayKnownAt ? 0 : Math.round((leg.outAt - leg.scheduledAt) / MINUTE),
      latitude: round(latitude, 4),
      longitude: round(longitude, 4),
      heading: Math.round(bearing(progress < 1 ? [longitude, latitude] : leg.start, ahead)) % 360,
      altitude: air.altitude,
      speed: air.speed,
      progress: round(progress, 5),
      route: [...leg.start, ...leg.end],
      pace: this.#pace,
      observedAt: new Date(at).toISOString(),
    };
  }
}

/** One flight from gate to gate: opens, (delayed), out of the gate, off the ground, on it, ends. */
function newLeg(from, to, random, opensAt) {
  const start = [from.longitude, from.latitude];
  const end = [to.longitude, to.latitude];
  const length = distanceKm(start, end);
  const scheduledAt = opensAt + (35 + random() * 40) * MINUTE;
  const delay = random() < 0.24 ? (15 + random() * 50) * MINUTE : 0;
  const outAt = scheduledAt + delay;
  const offAt = outAt + (8 + random() * 10) * MINUTE;
  const onAt = offAt + (length / CRUISE_KMH) * 60 * MINUTE + 18 * MINUTE;
  return {
    from,
    to,
    start,
    end,
    length,
    opensAt,
    scheduledAt,
    outAt,
    offAt,
    onAt,
    endsAt: onAt + (16 + random() * 20) * MINUTE,
    // A delay becomes known only some time after boarding was to begin.
    delayKnownAt: delay === 0 ? Number.POSITIVE_INFINITY : opensAt + (10 + random() * 25) * MINUTE,
    gate: `${pick(random, 'ABCDEFG')}${1 + Math.floor(random() * 38)}`,
  };
}

function shift(leg, byMs) {
  for (const name of Object.keys(leg)) {
    if (name.endsWith('At')) leg[name] += byMs;
  }
}

function statusOf(leg, at) {
  if (at >= leg.onAt) return 'landed';
  if (at >= leg.offAt) return 'airborne';
  if (at >= leg.outAt) return 'taxiing';
  // Boarding begins again half an hour before a delayed flight leaves.
  const waiting = at >= leg.delayKnownAt && at < leg.outAt - 12 * MINUTE;
  return waiting ? 'delayed' : 'boarding';
}

function airData(leg, progress, status) {
  if (status !== 'airborne') return { altitude: 0, speed: status === 'taxiing' ? 15 : 0 };
  const climb = Math.min(0.4, CLIMB_KM / leg.length);
  const lift = clamp(Math.min(progress, 1 - progress) / climb);
  const cruise = leg.length > 3_000 ? 38_000 : leg.length > 1_200 ? 34_000 : 26_000;
  return { altitude: Math.round((cruise * lift) / 100) * 100, speed: Math.round(150 + 325 * lift) };
}

const clamp = (value) => Math.min(1, Math.max(0, value));
const round = (value, digits) => Number(value.toFixed(digits));
