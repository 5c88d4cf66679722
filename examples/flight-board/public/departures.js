/**
 * What stands on the board: the flights from (or to) an airport as rows of text, in the order of
 * their times, told in that airport's own time.
 */
const STATUS = {
  boarding: { word: 'Boarding', tone: 'call' },
  taxiing: { word: 'Taxiing', tone: 'go' },
  airborne: { word: 'In flight', tone: 'calm' },
  landed: { word: 'Landed', tone: 'done' },
  delayed: { word: 'Delayed', tone: 'late' },
};
/** Status a flight is in, in the order in which a traveller cares. */
const ORDER = ['boarding', 'delayed', 'taxiing', 'airborne', 'landed'];

/** Rows for `SplitFlapBoard.show`. `direction` is `from` (departures) or `to` (arrivals). */
export function boardRows(flights, { airport, direction, timezone }) {
  const here = [...flights.all]
    .map(({ state }) => state)
    .filter((state) => {
      return state[direction] === airport;
    });
  const time = direction === 'from' ? 'scheduledDeparture' : 'arrival';
  here.sort((a, b) => rank(a, direction) - rank(b, direction) || compare(a[time], b[time]));
  return here.map((state) => row(state, direction, localTime(state[time], timezone)));
}

function row(state, direction, time) {
  const place = direction === 'from' ? state.toCity : state.fromCity;
  const { word, tone } = STATUS[state.status];
  const status = state.status === 'delayed' ? `Late +${state.delayMinutes}` : word;
  const label = [
    `${time}, ${state.carrier} ${state.id}`,
    `${direction === 'from' ? 'to' : 'from'} ${place}`,
    direction === 'from' ? `gate ${state.gate}` : '',
    status,
  ];
  return {
    id: state.id,
    time,
    flight: state.id,
    place,
    gate: direction === 'from' ? state.gate : state.from,
    status,
    tone,
    label: label.filter(Boolean).join(', '),
  };
}

/** Arrivals: those in the air first. */
function rank(state, direction) {
  const place = ORDER.indexOf(state.status);
  return direction === 'from' ? place : place === 3 ? -1 : place;
}

const compare = (a, b) => (a < b ? -1 : Number(a > b));

export function localTime(instant, timezone) {
  try {
    return formatter(timezone).format(new Date(instant));
  } catch {
    return '--:--';
  }
}

const formatters = new Map();
function formatter(timezone) {
  const known = formatters.get(timezone);
  if (known !== undefined) return known;
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: timezone };
  const made = new Intl.DateTimeFormat('en-GB', options);
  formatters.set(timezone, made);
  return made;
}
