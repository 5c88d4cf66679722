/**
 * Puts the page together: the live feed fills the flights, the map draws them, the board lists those
 * of one airport, the cache panel reads that airport over and over. What is chosen stands in the
 * address (`#SFO` or `#SFO/HY412`), so that a reload or a link shows the same.
 */
import { SplitFlapBoard } from './board.js';
import { CachePanel } from './cache-panel.js';
import { boardRows, localTime } from './departures.js';
import { Feed } from './feed.js';
import { Flights } from './flights.js';
import { WorldMap } from './map.js';
import { attachMapControls } from './map-controls.js';

const $ = (id) => document.getElementById(id);
const ROWS = 9;
const narrow = matchMedia('(max-width: 720px)');

const flights = new Flights();
const map = new WorldMap($('map'));
const board = new SplitFlapBoard($('rows'), { onChoose: (id) => choose(id) });
const panel = new CachePanel(
  { strip: $('strip'), counters: $('counters'), last: $('last') },
  heard,
);

const [firstAirport, firstFlight] = location.hash.slice(1).split('/');
const state = {
  airport: /^[A-Z]{3}$/.test(firstAirport) ? firstAirport : 'SFO',
  direction: 'from',
  chosen: firstFlight || undefined,
  timezone: 'UTC',
};
let changes = 0;

// The live feed ------------------------------------------------------------------------------

const feed = new Feed('/Flight/', {
  snapshot(values, afresh) {
    const now = performance.now();
    if (afresh) flights.clear();
    flights.setClock(values, now);
    for (const value of values) flights.put(value, now);
  },
  put,
  patch: (id, part) => flights.get(id) && put({ ...flights.get(id).state, ...part }),
  remove: (id) => flights.remove(id),
  state: showConnection,
});

function put(value) {
  const now = performance.now();
  changes += 1;
  flights.correctClock(value, now);
  flights.put(value, now);
}

function showConnection(name, { wait, position }) {
  $('connection').dataset.state = name;
  const words = {
    connecting: 'Connecting',
    live: 'Live',
    waiting: `Lost, again in ${Math.ceil((wait ?? 0) / 1000)} s`,
  };
  $('connection-text').textContent = words[name];
  $('connection').title = position ? `At position ${position}` : '';
}

// Airport and flight -------------------------------------------------------------------------

function watch(id) {
  state.airport = id;
  state.timezone = 'UTC';
  remember();
  const place = map.place(id);
  $('board-title').textContent = place?.city ?? id;
  $('weather').textContent = '\u00a0';
  $('airport').value = '';
  for (const button of $('hubs').children) {
    button.ariaPressed = String(button.dataset.id === id);
  }
  const partly = map.view.width < 900 || map.view.zoom > 1;
  if (place !== undefined && partly) map.view.lookAt(place.plane);
  void panel.watch(id);
  refreshBoard();
}

/** Each answer for the airport on the board updates its head. */
function heard(airport) {
  if (airport.id !== state.airport) return;
  state.timezone = airport.timezone;
  const { temperature, sky, wind } = airport.conditions;
  const time = localTime(flights.simulatedNow(performance.now()), airport.timezone);
  $('board-title').textContent = airport.city;
  $('weather').textContent =
    `${airport.id} · ${time} local · ${temperature} °C, ${sky}, wind ${wind.from}° ${wind.knots} kt`;
}

function choose(id) {
  state.chosen = state.chosen === id ? undefined : id;
  remember();
  refreshCard();
  refreshBoard();
}

function remember() {
  const flight = state.chosen === undefined ? '' : `/${state.chosen}`;
  history.replaceState(null, '', `#${state.airport}${flight}`);
}

// What is redrawn ----------------------------------------------------------------------------

function refreshBoard() {
  const rows = boardRows(flights, state);
  board.show(rows.slice(0, ROWS), {
    narrow: narrow.matches,
    count: narrow.matches ? 7 : ROWS,
    chosen: state.chosen,
  });
}

function refreshCard() {
  const flight = flights.get(state.chosen);
  $('flight').hidden = flight === undefined;
  if (flight === undefined) return;
  const { id, carrier, from, to, fromCity, toCity, status, altitude, speed } = flight.state;
  const left = Math.max(
    0,
    Date.parse(flight.state.arrival) - flights.simulatedNow(performance.now()),
  );
  const hours = `${Math.floor(left / 3_600_000)} h ${Math.floor(left / 60_000) % 60} min`;
  const card = $('flight');
  if (card.dataset.id !== id) {
    card.dataset.id = id;
    card.innerHTML = `<header><b></b><span></span><button type="button" aria-label="Close">×</button></header>
      <div class="leg"><span><b></b><small></small></span><i><i></i></i><span><b></b><small></small></span></div>
      <dl><div><dt>Altitude</dt><dd></dd></div><div><dt>Speed</dt><dd></dd></div><div><dt>To go</dt><dd></dd></div></dl>`;
    card.querySelector('button').addEventListener('click', () => choose(id));
  }
  const texts = [id, `${carrier}, ${status}`, from, fromCity, to, toCity];
  const places = 'header b, header span, .leg b, .leg small';
  card.querySelectorAll(places).forEach((place, index) => {
    place.textContent = texts[index];
  });
  const facts = [`${altitude.toLocaleString('en')} ft`, `${speed} kt`, hours];
  card.querySelectorAll('dd').forEach((place, index) => {
    place.textContent = facts[index];
  });
  card.style.setProperty('--progress', flight.shown.toFixed(4));
}

function refreshNumbers() {
  const aloft = [...flights.all].filter((flight) => flight.state.status === 'airborne');
  $('aloft').textContent = aloft.length;
  $('rate').textContent = changes;
  changes = 0;
}

let drawnAt = performance.now();
function frame(now) {
  flights.advance(now, Math.min(1_000, now - drawnAt));
  drawnAt = now;
  const simulatedNow = flights.simulatedNow(now);
  map.draw({
    flights,
    chosen: flights.get(state.chosen),
    airport: state.airport,
    simulatedNow,
    now,
  });
  if (simulatedNow > 0) $('clock').textContent = localTime(simulatedNow, 'UTC');
  requestAnimationFrame(frame);
}

// Start --------------------------------------------------------------------------------------

async function loadMap() {
  const shape = async (id) => (await fetch(`/Shape/${id}`)).json();
  const [land, airports] = await Promise.all([shape('land-110m'), shape('airports-v1')]);
  map.land = land.rings;
  map.places = airports.places;
  panel.airports = airports.places.filter((row) => row[3] === 0).map((row) => row[0]);
  listAirports(airports.places);
}

function listAirports(places) {
  const options = places.map(([id, , , , city]) => new Option(`${city} (${id})`, id));
  $('airports').replaceChildren(...options);
  const hubs = places
    .filter((row) => row[3] === 1)
    .map(([id, , , , city]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = id;
      button.title = city;
      button.dataset.id = id;
      button.ariaPressed = String(id === state.airport);
      button.addEventListener('click', () => watch(id));
      return button;
    });
  $('hubs').replaceChildren(...hubs);
}

$('airport').addEventListener('change', (event) => {
  const text = event.target.value.trim();
  const code = text.toUpperCase();
  const found = [...$('airports').options].find((option) => {
    return option.value === code || option.text.toLowerCase().startsWith(text.toLowerCase());
  });
  if (text !== '' && found !== undefined) watch(found.value);
});
document.querySelectorAll('[data-direction]').forEach((button) => {
  button.addEventListener('click', () => {
    state.direction = button.dataset.direction;
    const departing = state.direction === 'from';
    $('place-title').textContent = departing ? 'To' : 'From';
    $('gate-title').textContent = departing ? 'Gate' : 'Code';
    document.querySelectorAll('[data-direction]').forEach((other) => {
      other.ariaPressed = String(other === button);
    });
    refreshBoard();
  });
});
$('read').addEventListener('click', () => panel.read());
$('read-other').addEventListener('click', () => panel.readStranger());
$('theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.startsWith('dark');
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  map.readColours();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => map.readColours());
narrow.addEventListener('change', refreshBoard);
attachMapControls({ canvas: $('map'), zoomIn: $('zoom-in'), zoomOut: $('zoom-out') }, map, {
  flights,
  chosen: () => state.chosen,
  chooseFlight: choose,
  chooseAirport: watch,
});

feed.open();
requestAnimationFrame(frame);
setInterval(refreshBoard, 1_000);
setInterval(refreshCard, 250);
setInterval(refreshNumbers, 1_000);
await loadMap();
watch(state.airport);
panel.start();
