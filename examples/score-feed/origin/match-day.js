/**
 * A whole match day, made up: nine matches of an invented league, minute by minute, from a seed, so
 * that the same day can be played again. `script()` is the list of what happens, in its order, each
 * with its second of match time; nothing here knows clocks or sockets.
 */
const CLUBS = [
  ...[
    'Harbour Town',
    'Millrace Rovers',
    'Northgate',
    'Old Quarry',
    'Saltmarsh United',
    'Tern Island',
  ],
  ...['Brickfield', 'Weir Athletic', 'Ashdown Park', 'Coppermouth', 'Drydock', 'Eelbridge'],
  ...['Fallow Green', 'Gullsway', 'Highmoor', 'Ironford', 'Juniper Vale', 'Kestrel Hill'],
];
const PLAYERS = [
  ...['Abara', 'Bloom', 'Castell', 'Dunmore', 'Eklund', 'Ferreira', 'Grove', 'Haddad', 'Ivarsson'],
  ...['Jansen', 'Kowal', 'Lindqvist', 'Marlow', 'Novak', 'Okoye', 'Pereira', 'Quist', 'Rossi'],
];
const HALF_SECONDS = 45 * 60;
const BREAK_SECONDS = 15 * 60;
const MATCHES = CLUBS.length / 2;
/** Matches do not begin at one instant. */
const LATEST_START_SECONDS = 10 * 60;

/** Small and repeatable [mulberry32]. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Everything that changes on the day, `{ second, table, row }`, by time. */
export function script(seed) {
  const random = randomFrom(seed);
  const clubs = [...CLUBS].sort(() => random() - 0.5);
  const steps = [];
  for (let number = 1; number <= MATCHES; number += 1) {
    const [home, away] = clubs.splice(0, 2);
    steps.push(...matchSteps({ number, home, away }, random));
  }
  return steps.sort((a, b) => a.second - b.second);
}

function matchSteps({ number, home, away }, random) {
  const id = `m${number}`;
  const row = { id, home, away, homeScore: 0, awayScore: 0, minute: 0, phase: 'upcoming' };
  row.venue = `${home} Ground`;
  const steps = [];
  let incidents = 0;
  let second = 0;
  const change = (fields) => {
    Object.assign(row, fields);
    steps.push({ second, table: 'matches', row: { ...row } });
  };
  const happen = (kind, team = '', player = '') => {
    incidents += 1;
    const incident = { id: `${id}-${String(incidents).padStart(3, '0')}`, match: id };
    const full = { ...incident, minute: row.minute, kind, team, player };
    steps.push({ second, table: 'incidents', row: full });
  };
  change({});
  second = Math.floor(random() * LATEST_START_SECONDS);
  for (const half of [1, 2]) {
    change({ phase: 'playing', minute: half === 1 ? 1 : 46 });
    happen('start');
    const added = Math.floor(random() * 4) * 60;
    const from = second;
    while (second < from + HALF_SECONDS + added) {
      second += 60;
      change({ minute: row.minute + 1 });
      play(row, random, { change, happen });
    }
    change({ phase: half === 1 ? 'break' : 'over' });
    happen(half === 1 ? 'break' : 'end');
    second += BREAK_SECONDS;
  }
  return steps;
}

/** One minute of play. About three goals and four cards a match. */
function play(row, random, { change, happen }) {
  const chance = random();
  const isHome = random() < 0.55;
  const team = isHome ? row.home : row.away;
  const player = PLAYERS[Math.floor(random() * PLAYERS.length)];
  if (chance < 0.03) {
    change(isHome ? { homeScore: row.homeScore + 1 } : { awayScore: row.awayScore + 1 });
    happen('goal', team, player);
  } else if (chance < 0.07) happen('yellow', team, player);
  else if (chance < 0.072) happen('red', team, player);
}
