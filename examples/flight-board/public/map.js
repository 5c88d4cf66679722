/**
 * The world on a canvas. What seldom changes (sea, graticule, land, airports) is drawn once into a
 * picture of its own and copied; night, routes and aircraft are drawn anew in every frame. Colours
 * come from the style sheet (`--map-…`), so that both themes have one place.
 */
import { drawLand, drawNight, earthOutline } from './ground.js';
import { project, View } from './projection.js';

const AIRCRAFT = new Path2D(
  'M0-7.2c.9 0 1.3 1.100 1.300 2.300v3.400l6.200 4.100v1.900l-6.200-2v3.300l2 1.600v1.500L0 7.900l-3.300 1v-1.500l2-1.600V2.500l-6.200 2V2.600l6.200-4.100v-3.400C-1.300-6.100-.9-7.200 0-7.200z',
);
const PICK_PIXELS = 16;
const NIGHT_EVERY_MS = 200;

export class WorldMap {
  view = new View();
  #canvas;
  #context;
  #ground = document.createElement('canvas');
  #dots = document.createElement('canvas');
  #groundVersion = '';
  #outline = new Path2D();
  #taken = [];
  #night = document.createElement('canvas');
  #nightAt = 0;
  #nightVersion = -1;
  #land;
  #places = [];
  #colours = {};
  #ratio = 1;
  #hover;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    this.readColours();
  }

  set land(rings) {
    this.#land = rings;
    this.#groundVersion = '';
  }

  /** Rows of the record `/Shape/airports-v1`. */
  set places(rows) {
    this.#places = rows.map(([id, longitude, latitude, hub, city]) => {
      return { id, hub: hub === 1, city, plane: project(longitude, latitude) };
    });
    this.#groundVersion = '';
  }

  set hover(point) {
    this.#hover = point;
  }

  place(id) {
    return this.#places.find((place) => place.id === id);
  }

  readColours() {
    // A canvas does not know `light-dark()`, so the browser is asked what it comes to.
    const names = ['sea', 'land', 'coast', 'grid', 'dot', 'route', 'aircraft', 'own', 'chosen'];
    for (const name of [...names, 'night', 'label', 'halo']) {
      this.#canvas.style.outlineColor = `var(--map-${name})`;
      this.#colours[name] = getComputedStyle(this.#canvas).outlineColor;
    }
    this.#canvas.style.outlineColor = '';
    this.#groundVersion = '';
    this.#nightVersion = -1;
  }

  /** One frame. `chosen` is a flight or undefined, `airport` a code. */
  draw({ flights, chosen, airport, simulatedNow, now }) {
    const context = this.#context;
    this.#refreshGround([airport, chosen?.state.from, chosen?.state.to]);
    this.#refreshNight(simulatedNow, now);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    context.drawImage(this.#ground, 0, 0);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.save();
    context.clip(this.#outline);
    context.drawImage(this.#night, 0, 0, this.#night.width * 4, this.#night.height * 4);
    context.restore();
    context.drawImage(this.#dots, 0, 0, this.view.width, this.view.height);
    this.#drawRoutes(flights, airport);
    if (chosen !== undefined) this.#drawChosenRoute(chosen);
    this.#drawAirport(airport, this.#colours.own);
    for (const flight of flights.all) {
      if (flight !== chosen) this.#drawAircraft(flight, airport, false);
    }
    if (chosen !== undefined) this.#drawAircraft(chosen, airport, true);
    this.#drawHover(flights);
  }

  /** The flight, or else the airport, under a point of the canvas. */
  pick(x, y, flights) {
    let [best, nearest] = [undefined, PICK_PIXELS];
    for (const flight of flights.all) {
      if (flight.state.status !== 'airborne') continue;
      const distance = Math.hypot(flight.x - x, flight.y - y);
      if (distance < nearest) [best, nearest] = [{ flight }, distance];
    }
    if (best !== undefined) return best;
    for (const place of this.#places) {
      const distance = this.#distance(place, x, y) - (place.hub ? 3 : 0);
      if (distance < nearest) [best, nearest] = [{ place }, distance];
    }
    return best;
  }

  #distance(place, x, y) {
    return Math.hypot(this.view.x(place.plane[0]) - x, this.view.y(place.plane[1]) - y);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.#canvas, this.#ground, this.#dots]) {
      canvas.width = Math.round(clientWidth * this.#ratio);
      canvas.height = Math.round(clientHeight * this.#ratio);
    }
    // Night has soft edges: a quarter of the size is plenty, and sixteen times cheaper.
    this.#night.width = Math.ceil(clientWidth / 4);
    this.#night.height = Math.ceil(clientHeight / 4);
    this.view.resize(clientWidth, clientHeight);
    this.#groundVersion = '';
  }

  /** `marked`: airports which are named elsewhere in the frame. */
  #refreshGround(marked) {
    const version = `${this.view.version} ${marked}`;
    if (version === this.#groundVersion) return;
    this.#groundVersion = version;
    const [ground, dots] = [this.#ground.getContext('2d'), this.#dots.getContext('2d')];
    for (const context of [ground, dots]) {
      context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
      context.clearRect(0, 0, this.view.width, this.view.height);
    }
    this.#outline = earthOutline(this.view);
    this.#taken = [];
    drawLand(ground, this.view, this.#land, this.#colours);
    for (const place of this.#places) this.#drawPlace(dots, place, !marked.includes(place.id));
  }

  #refreshNight(simulatedNow, now) {
    const fresh = this.#nightVersion === this.view.version && now - this.#nightAt < NIGHT_EVERY_MS;
    if (fresh) return;
    this.#nightAt = now;
    this.#nightVersion = this.view.version;
    const context = this.#night.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#night.width, this.#night.height);
    context.setTransform(1 / 4, 0, 0, 1 / 4, 0, 0);
    drawNight(context, this.view, simulatedNow, this.#colours.night);
  }

  #drawPlace(context, place, mayName) {
    const [x, y] = [this.view.x(place.plane[0]), this.view.y(place.plane[1])];
    const size = (place.hub ? 2.1 : 1.1) * Math.min(1.8, this.view.zoom ** 0.4);
    context.fillStyle = this.#colours.dot;
    context.beginPath();
    context.arc(x, y, size, 0, 7);
    context.fill();
    const named = place.hub ? this.view.width > 900 || this.view.zoom > 1.8 : this.view.zoom > 2.6;
    if (named && mayName && this.#isFree(x, y)) {
      this.#label(context, place.id, x + 5, y - 4, this.#colours.label, 10);
    }
  }

  /** Names do not cover each other: the first one, hubs before the rest, has the room. */
  #isFree(x, y) {
    const free = this.#taken.every(([a, b]) => Math.abs(a - x) > 28 || Math.abs(b - y) > 12);
    if (free) this.#taken.push([x, y]);
    return free;
  }

  #label(context, text, x, y, colour, size) {
    context.font = `600 ${size}px system-ui, "Helvetica Neue", Arial, sans-serif`;
    context.lineJoin = 'round';
    context.lineWidth = 3;
    context.strokeStyle = this.#colours.halo;
    context.strokeText(text, x, y);
    context.fillStyle = colour;
    context.fillText(text, x, y);
  }

  #drawRoutes(flights, airport) {
    const context = this.#context;
    for (const own of [false, true]) {
      context.beginPath();
      for (const flight of flights.all) {
        const { status, from, to } = flight.state;
        if ((from === airport || to === airport) !== own) continue;
        this.#projectArc(flight.arc);
        if (status === 'airborne') traceArc(context, flight.arc, 0, flight.shown, this.view.width);
      }
      context.strokeStyle = own ? this.#colours.own : this.#colours.route;
      context.globalAlpha = own ? 0.75 : 1;
      context.lineWidth = own ? 1.3 : 1;
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #drawChosenRoute(flight) {
    const context = this.#context;
    const { from, to } = flight.state;
    this.#projectArc(flight.arc);
    context.strokeStyle = this.#colours.chosen;
    context.lineWidth = 2.2;
    context.beginPath();
    traceArc(context, flight.arc, 0, flight.shown, this.view.width);
    context.stroke();
    context.setLineDash([2, 5]);
    context.beginPath();
    traceArc(context, flight.arc, flight.shown, 1, this.view.width);
    context.stroke();
    context.setLineDash([]);
    for (const id of [from, to]) this.#drawAirport(id, this.#colours.chosen);
  }

  #drawAirport(id, colour) {
    const place = this.place(id);
    if (place === undefined) return;
    const [x, y] = [this.view.x(place.plane[0]), this.view.y(place.plane[1])];
    const context = this.#context;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 5.5, 0, 7);
    context.stroke();
    this.#label(context, place.id, x + 9, y + 4, colour, 12);
  }

  #drawAircraft(flight, airport, chosen) {
    const [x, y, turn] = this.#placeOf(flight);
    [flight.x, flight.y] = [x, y];
    const { status, from, to } = flight.state;
    if (status !== 'airborne' && !chosen) return;
    const context = this.#context;
    const own = from === airport || to === airport;
    const crowded = this.view.width < 600 ? 0.75 : 1;
    const size = crowded * (chosen ? 1.35 : own ? 1 : 0.8) * Math.min(1.6, this.view.zoom ** 0.35);
    context.save();
    context.translate(x, y);
    context.rotate(turn);
    context.scale(size, size);
    context.lineWidth = 2.2;
    context.strokeStyle = this.#colours.halo;
    context.stroke(AIRCRAFT);
    context.fillStyle = this.#colours[chosen ? 'chosen' : own ? 'own' : 'aircraft'];
    context.fill(AIRCRAFT);
    context.restore();
  }

  #drawHover(flights) {
    if (this.#hover === undefined) return;
    const found = this.pick(this.#hover.x, this.#hover.y, flights);
    this.#canvas.style.cursor = found === undefined ? 'grab' : 'pointer';
    if (found === undefined) return;
    const { flight, place } = found;
    const text = flight
      ? `${flight.state.id}  ${flight.state.from}–${flight.state.to}`
      : `${place.city} (${place.id})`;
    const x = flight ? flight.x : this.view.x(place.plane[0]);
    const y = flight ? flight.y : this.view.y(place.plane[1]);
    this.#label(this.#context, text, x + 10, y - 9, this.#colours.label, 12);
  }

  /** Where a flight is drawn and which way it points there. */
  #placeOf(flight) {
    this.#projectArc(flight.arc);
    const { screen } = flight.arc;
    const last = screen.length / 2 - 1;
    const at = flight.shown * last;
    const index = Math.min(last - 1, Math.floor(at));
    const [x1, y1, x2, y2] = screen.subarray(2 * index, 2 * index + 4);
    if (Math.abs(x2 - x1) > this.view.scale * 2) return [x1, y1, 0];
    const share = at - index;
    const turn = Math.atan2(y2 - y1, x2 - x1) + Math.PI / 2;
    return [x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, turn];
  }

  #projectArc(arc) {
    if (arc.version === this.view.version) return;
    arc.version = this.view.version;
    for (let index = 0; index < arc.places.length; index += 2) {
      const [x, y] = project(arc.places[index], arc.places[index + 1]);
      arc.screen[index] = this.view.x(x);
      arc.screen[index + 1] = this.view.y(y);
    }
  }
}

/** Adds the part of an arc between two shares of its length; lifts the pen at the map's edge. */
function traceArc(context, { screen }, from, to, width) {
  const last = screen.length / 2 - 1;
  const [first, end] = [from * last, to * last];
  let previous = Number.NaN;
  for (let at = first; ; at = Math.min(end, Math.floor(at) + 1)) {
    const index = Math.min(last - 1, Math.floor(at));
    const share = at - index;
    const [x1, y1, x2, y2] = screen.subarray(2 * index, 2 * index + 4);
    const torn = Math.abs(x2 - x1) > width / 2;
    const x = torn ? (share < 0.5 ? x1 : x2) : x1 + (x2 - x1) * share;
    const y = y1 + (y2 - y1) * share;
    if (Math.abs(x - previous) < width / 2) context.lineTo(x, y);
    else context.moveTo(x, y);
    previous = x;
    if (at >= end) return;
  }
}
